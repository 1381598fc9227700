"""Branches not taken, and cycles through a router: what runs, how often, and what the answer shows."""

import pytest

from flowrunner import Component, ComponentFailed, FlowInvalid, Input, Output, text_of
from flowrunner.flows.check import check_flow
from tests.engine.rig import Rig, make_flow

ROUTER = ("choose", "ConditionalRouter", {"match_text": "yes", "operator": "equals"})
ASK = ("ask", "ChatInput")


class Split(Component):
    """Give each output whose name is in the text."""

    type_name = "Split"
    inputs = (Input("value"),)
    outputs = (Output("a"), Output("b"), Output("c"))

    def run(self, context, value):
        return {name: name for name in text_of(value)}


class Grow(Component):
    """Put a letter behind a text, and count."""

    type_name = "Grow"
    inputs = (Input("value", required=True), Input("again"), Input("hint"))
    outputs = (Output("text"),)
    blocking = True

    def run(self, context, value, again, hint):
        return {"text": text_of(again or value) + "x"}


class Clings(Component):
    """A router that never lets go."""

    type_name = "Clings"
    inputs = (Input("value"),)
    outputs = (Output("back"), Output("out"))

    def run(self, context, value):
        return {"back": text_of(value) + str(context.iteration)}

    def rounds_with(self, settings):
        return 4


class Lister(Component):
    """Hand out letters."""

    type_name = "Lister"
    inputs = (Input("value"),)
    outputs = (Output("item"), Output("done", "Data"))
    loop_output = "item"

    def run(self, context, value):
        return {"item": list(text_of(value))}

    def finish_loop(self, returned):
        return {"done": {"text": ",".join(text_of(one) for one in returned)}}


class Remark(Component):
    """A tool."""

    type_name = "Remark"
    inputs = (Input("value", tool=True),)
    outputs = (Output("text"),)

    def run(self, context, value):
        return {"text": value}


class Uses(Component):
    """Name the tools that came in."""

    type_name = "Uses"
    inputs = (Input("value"), Input("system"), Input("tools", "Tool", many=True))
    outputs = (Output("text"),)

    def run(self, context, value, system, tools):
        return {"text": f"{text_of(value)}|{text_of(system)}|{','.join(tool.name for tool in tools)}"}


@pytest.fixture
def rig(tmp_path):
    made = Rig(tmp_path, components=(Split, Grow, Clings, Lister, Remark, Uses))
    yield made
    made.close()


def ran(rig, vertices, edges, text, **request):
    return {v.vertex_id for v in rig.run(vertices, edges, input_value=text, **request).vertices}


def test_an_agent_behind_a_branch_not_taken_does_not_run_whatever_else_feeds_it(rig):
    vertices = [
        ASK,
        ROUTER,
        ("rules", "Prompt", {"template": "Be kind"}),
        ("tool", "Remark"),
        ("agent", "Uses"),
        ("out", "ChatOutput"),
        ("out2", "ChatOutput"),
    ]
    edges = [
        "ask.message -> choose.input_text",
        "choose.true_result -> agent.value",
        "rules.prompt -> agent.system",
        "tool.component_as_tool -> agent.tools",
        "agent.text -> out.input_value",
        "choose.false_result -> out2.input_value",
    ]
    result = rig.run(vertices, edges, input_value="NOPE", output_type="any")
    assert {v.vertex_id for v in result.vertices} == {"ask", "choose", "rules", "tool", "out2"}
    assert [v.vertex_id for v in result.reported] == ["out2"]
    assert [m.text for m in rig.messages()] == ["NOPE", "NOPE"]
    assert rig.run(vertices, edges, input_value="yes").text == "yes|Be kind|Remark"


@pytest.mark.parametrize(
    ("edge", "left"),
    [
        ("choose.true_result -> agent.system", {"agent", "out"}),
        ("choose.true_result -> tool.value", {"tool", "agent", "out"}),
        ("choose.true_result -> far.value", {"far", "agent", "out"}),
    ],
    ids=["a system message", "a tool", "two steps away"],
)
def test_it_is_left_out_through_whichever_input_the_branch_leads(rig, edge, left):
    vertices = [
        ASK,
        ROUTER,
        ("far", "Pass"),
        ("tool", "Remark"),
        ("agent", "Uses"),
        ("out", "ChatOutput"),
        ("no", "ChatOutput"),
    ]
    edges = [
        "ask.message -> choose.input_text",
        "ask.message -> agent.value",
        edge,
        "far.text -> agent.system",
        "tool.component_as_tool -> agent.tools",
        "agent.text -> out.input_value",
        "choose.false_result -> no.input_value",
    ]
    everything = {v[0] for v in vertices}
    assert ran(rig, vertices, edges, "NOPE") == everything - left
    assert ran(rig, vertices, edges, "yes") == everything - {"no"}


def test_a_join_runs_whichever_branch_is_taken(rig):
    vertices = [
        ASK,
        ROUTER,
        ("left", "Pass"),
        ("right", "Pass"),
        ("join", "Prompt", {"template": "[{a}{b}]"}),
        ("out", "ChatOutput"),
    ]
    edges = [
        "ask.message -> choose.input_text",
        "choose.true_result -> left.value",
        "choose.false_result -> right.value",
        "left.text -> join.a",
        "right.text -> join.b",
        "join.prompt -> out.input_value",
    ]
    assert rig.run(vertices, edges, input_value="yes").text == "[yes]"
    assert rig.run(vertices, edges, input_value="no").text == "[no]"
    assert ran(rig, vertices, edges, "no") == {"ask", "choose", "right", "join", "out"}


@pytest.mark.parametrize(
    ("given", "left"),
    [("a", "bc"), ("b", "ac"), ("ab", "c"), ("abc", ""), ("", "abc")],
    ids=["a", "b", "two", "all", "none"],
)
def test_several_outputs_not_taken_count_together(rig, given, left):
    vertices = [
        ASK,
        ("split", "Split"),
        *((f"out-{name}", "TextOutput") for name in "abc"),
        ("ab", "Prompt", {"template": "{x}{y}"}),
    ]
    edges = [
        "ask.message -> split.value",
        *(f"split.{name} -> out-{name}.input_value" for name in "abc"),
        "split.a -> ab.x",
        "split.b -> ab.y",
    ]
    found = ran(rig, vertices, edges, given)
    assert {f"out-{name}" for name in left}.isdisjoint(found)
    assert {f"out-{name}" for name in given} <= found
    assert ("ab" in found) is bool(set("ab") & set(given))


def test_a_router_behind_a_router_leaves_out_what_only_the_first_let_through(rig):
    vertices = [
        ASK,
        ("one", "ConditionalRouter", {"match_text": "a", "operator": "contains"}),
        ("two", "ConditionalRouter", {"match_text": "b", "operator": "contains"}),
        ("both", "TextOutput"),
        ("first", "TextOutput"),
        ("none", "TextOutput"),
    ]
    edges = [
        "ask.message -> one.input_text",
        "one.true_result -> two.input_text",
        "two.true_result -> both.input_value",
        "two.false_result -> first.input_value",
        "one.false_result -> none.input_value",
        "one.false_result -> first.input_value",
    ]
    assert ran(rig, vertices, edges, "ab") == {"ask", "one", "two", "both"}
    assert ran(rig, vertices, edges, "a") == {"ask", "one", "two", "first"}
    assert ran(rig, vertices, edges, "c") == {"ask", "one", "none", "first"}


def test_a_router_in_a_loop_chooses_anew_for_each_item(rig):
    vertices = [
        ASK,
        ("list", "Lister"),
        ("choose", "ConditionalRouter", {"match_text": "a", "operator": "equals"}),
        ("yes", "Prompt", {"template": "+{x}"}),
        ("no", "Prompt", {"template": "-{x}"}),
        ("join", "Prompt", {"template": "{x}{y}"}),
        ("out", "ChatOutput"),
    ]
    edges = [
        "ask.message -> list.value",
        "list.item -> choose.input_text",
        "choose.true_result -> yes.x",
        "choose.false_result -> no.x",
        "yes.prompt -> join.x",
        "no.prompt -> join.y",
        "list.done -> out.input_value",
    ]
    events = []
    rig.run(vertices, edges, input_value="ab", emit=events.append)
    shown = [e.data["result"] for e in events if e.kind == "vertex_finished"]
    said = [(r.vertex_id, r.outputs["prompt"].text) for r in shown if "prompt" in r.outputs]
    assert said == [("yes", "+a"), ("join", "+a"), ("no", "-b"), ("join", "-b")]


CYCLE = [
    "ask.message -> grow.value",
    "grow.text -> choose.input_text",
    "choose.false_result -> grow.again",
    "choose.true_result -> out.input_value",
]


def cycle(match, **more):
    router = ("choose", "ConditionalRouter", {"match_text": match, "operator": "equals", **more})
    return [ASK, ("grow", "Grow"), router, ("out", "ChatOutput")]


def test_a_cycle_runs_until_the_router_lets_go(rig):
    events = []
    result = rig.run(cycle("axxx"), CYCLE, input_value="a", emit=events.append)
    assert result.text == "axxx"
    assert [e.data["vertex_id"] for e in events if e.kind == "vertex_started"] == [
        "ask",
        *["grow", "choose"] * 3,
        "out",
    ]
    assert [m.text for m in rig.messages()] == ["a", "axxx"]


@pytest.mark.parametrize(
    ("most", "route", "text"),
    [
        (1, "true_result", "ax"),
        (3, "true_result", "axxx"),
        (3, "false_result", "axxx"),
        (None, "false_result", "a" + 10 * "x"),
    ],
    ids=["once", "the route that leads out", "the route that leads back", "as it is"],
)
def test_a_cycle_ends_when_its_iterations_are_used_up(rig, most, route, text):
    more = {} if most is None else {"max_iterations": most, "default_route": route}
    assert rig.run(cycle("never", **more), CYCLE, input_value="a").text == text


def test_a_tweak_bounds_a_cycle_for_one_run(rig):
    plan = rig.plan(cycle("never"), CYCLE)
    assert rig.run_plan(plan, input_value="a", tweaks={"choose": {"max_iterations": 2}}).text == "axx"
    assert rig.run_plan(plan, input_value="a").text == "a" + 10 * "x"


def test_the_case_message_of_the_branch_that_ends_a_cycle_goes_on(rig):
    vertices = cycle("never", max_iterations=2, default_route="true_result", true_case_message="gave up")
    assert rig.run(vertices, CYCLE, input_value="a").text == "gave up"


def test_a_cycle_may_begin_at_its_router_and_its_newest_value_counts(rig):
    """Both edges lead into the one field of the router."""
    router = ("choose", "ConditionalRouter", {"match_text": "axx", "operator": "equals"})
    vertices = [ASK, router, ("grow", "Grow"), ("out", "ChatOutput")]
    edges = [
        "ask.message -> choose.input_text",
        "choose.false_result -> grow.value",
        "grow.text -> choose.input_text",
        "choose.true_result -> out.input_value",
    ]
    assert rig.run(vertices, edges, input_value="a").text == "axx"
    assert rig.run(vertices, edges, input_value="axx").text == "axx"


def test_a_cycle_waits_for_all_that_its_members_need_and_is_left_before_anything_follows(rig):
    vertices = [*cycle("axx"), ("hint", "Grow", {"value": "h"}), ("other", "TextOutput"), ("seen", "TextOutput")]
    edges = [
        *CYCLE,
        "hint.text -> grow.hint",
        "grow.text -> seen.input_value",
        "choose.false_result -> other.input_value",
    ]
    found = rig.run(vertices, edges, input_value="a", output_type="debug")
    assert found.output("seen")["text"].text == "axx"
    assert found.output("other") is None
    assert found.output("out")["message"].text == "axx"


def test_a_cycle_behind_a_branch_not_taken_does_not_run(rig):
    vertices = [
        *cycle("axx"),
        ("first", "ConditionalRouter", {"match_text": "a", "operator": "equals"}),
        ("no", "ChatOutput"),
    ]
    edges = [
        "ask.message -> first.input_text",
        "first.true_result -> grow.value",
        *CYCLE[1:],
        "first.false_result -> no.input_value",
    ]
    assert ran(rig, vertices, edges, "b") == {"ask", "first", "no"}
    assert rig.run(vertices, edges, input_value="a").text == "axx"


def test_a_cycle_in_a_loop_runs_anew_for_each_item(rig):
    vertices = [
        ASK,
        ("list", "Lister"),
        ("grow", "Grow"),
        ("choose", "ConditionalRouter", {"match_text": "xx", "operator": "ends with"}),
        ("got", "TextOutput"),
        ("out", "ChatOutput"),
    ]
    edges = [
        "ask.message -> list.value",
        "list.item -> grow.value",
        "grow.text -> choose.input_text",
        "choose.false_result -> grow.again",
        "choose.true_result -> got.input_value",
        "list.done -> out.input_value",
    ]
    events = []
    rig.run(vertices, edges, input_value="ab", emit=events.append)
    shown = [e.data["result"] for e in events if e.kind == "vertex_finished"]
    assert [r.outputs["text"].text for r in shown if r.vertex_id == "got"] == ["axx", "bxx"]
    assert len([r for r in shown if r.vertex_id == "grow"]) == 4


def test_a_router_that_never_lets_go_is_stopped_by_name(rig):
    vertices = [ASK, ("cling", "Clings"), ("back", "Pass"), ("out", "ChatOutput")]
    edges = [
        "ask.message -> cling.value",
        "cling.back -> back.value",
        "back.text -> cling.value",
        "cling.out -> out.input_value",
    ]
    with pytest.raises(ComponentFailed, match="Clings: its cycle did not end after 4 rounds"):
        rig.run(vertices, edges, input_value="a")


def test_a_failure_in_a_cycle_ends_the_run(rig):
    vertices = cycle("(", operator="regex")
    with pytest.raises(ComponentFailed, match="If-Else"):
        rig.run(vertices, CYCLE, input_value="a")


def test_a_circle_without_a_router_or_without_a_beginning_is_refused(rig):
    with pytest.raises(FlowInvalid, match=r"form a cycle that can never run: Pass \(a\), Pass \(b\)"):
        rig.plan(
            [ASK, ("a", "Pass"), ("b", "Pass"), ("out", "ChatOutput")],
            ["ask.message -> a.value", "a.text -> b.value", "b.text -> a.session_id", "b.text -> out.input_value"],
        )
    with pytest.raises(FlowInvalid, match="cycle"):
        rig.plan([ASK, ROUTER, ("a", "Pass")], ["choose.true_result -> a.value", "a.text -> choose.input_text"])
    with pytest.raises(FlowInvalid, match=r"Pass \(a\), Pass \(b\)"):
        rig.plan(
            [*cycle("axx"), ("a", "Pass"), ("b", "Pass")],
            [*CYCLE, "choose.false_result -> a.value", "a.text -> b.value", "b.text -> a.session_id"],
        )


def test_a_cycle_that_ends_is_nothing_to_complain_of(rig):
    flow = make_flow(cycle("axx"), CYCLE)
    assert check_flow(flow, rig.registry) == []
    circle = make_flow([*cycle("axx"), ("a", "Pass")], [*CYCLE, "ask.message -> a.value", "a.text -> a.session_id"])
    assert [(f.code, f.level) for f in check_flow(circle, rig.registry)] == [("cycle", "error")] * 2


@pytest.mark.parametrize(
    ("output_type", "reported"),
    [("chat", ["out"]), ("text", []), ("any", ["out"]), ("debug", ["ask", "out"])],
)
def test_what_is_reported_is_chosen_by_type_among_the_outputs_of_the_flow(rig, output_type, reported):
    """Two islands: only that of the chat input runs, and the other one has the output that is asked for."""
    vertices = [ASK, ("out", "ChatOutput"), ("TextInput-1", "TextInput"), ("TextOutput-1", "TextOutput")]
    edges = ["ask.message -> out.input_value", "TextInput-1.text -> TextOutput-1.input_value"]
    result = rig.run(vertices, edges, input_value="hi", input_type="text", output_type=output_type)
    assert [v.vertex_id for v in result.reported] == reported
    assert {v.vertex_id for v in result.vertices} == {"ask", "out"}


def test_a_flow_without_an_output_of_the_type_reports_all(rig):
    result = rig.run([ASK, ("out", "ChatOutput")], ["ask.message -> out.input_value"], output_type="text")
    assert [v.vertex_id for v in result.reported] == ["out"]


def test_an_output_of_the_type_on_a_branch_not_taken_leaves_nothing_to_report(rig):
    vertices = [ASK, ROUTER, ("text", "TextOutput"), ("chat", "ChatOutput")]
    edges = [
        "ask.message -> choose.input_text",
        "choose.true_result -> text.input_value",
        "choose.false_result -> chat.input_value",
    ]
    assert rig.run(vertices, edges, input_value="no", output_type="text").reported == []
    assert rig.run(vertices, edges, input_value="yes", output_type="text").text == "yes"
