"""Frozen components: the first result serves later runs, unless a request or a session has a part in it."""

import pytest

from flowrunner import Component, Input, Output, text_of
from tests.engine.rig import Rig

FROZEN = {"frozen": True}


class Counts(Component):
    """Count its calls."""

    type_name = "Counts"
    inputs = (Input("value", tool=True),)
    outputs = (Output("text"),)

    def __init__(self):
        self.calls = 0

    def run(self, context, value):
        self.calls += 1
        return {"text": f"{text_of(value)}{self.calls}"}


class Remembers(Component):
    """Say what the session has, in one of the ways to ask."""

    type_name = "Remembers"
    inputs = (Input("how"), Input("value"))
    outputs = (Output("text"),)

    def run(self, context, how, value):
        if how == "memory":
            return {"text": ",".join(m.text for m in context.memory.fetch(session_id="s"))}
        return {
            "text": {
                "session": lambda: context.session.id,
                "session_id": lambda: context.session_id,
                "run_id": lambda: context.run_id,
                "variable": lambda: context.variable("WHO") or "",
            }[how]()
        }


class Stamps(Counts):
    """Give a message of its session."""

    type_name = "Stamps"

    def run(self, context, value):
        from flowrunner import Message

        return {"text": context.stamp(Message(text=super().run(context, value)["text"]))}


class CallsTools(Component):
    """Call what came in."""

    type_name = "CallsTools"
    inputs = (Input("tools", "Tool", many=True),)
    outputs = (Output("text"),)

    def run(self, context, tools):
        return {"text": "".join(str(tool.call({})) for tool in tools)}


@pytest.fixture
def rig(tmp_path):
    made = Rig(tmp_path, components=(Counts, Remembers, Stamps, CallsTools))
    yield made
    made.close()


def kept(result):
    return [v.vertex_id for v in result.vertices if v.used_frozen_result]


def test_a_frozen_chat_input_says_what_this_request_says_and_stores_it(rig):
    plan = rig.plan(
        [("ask", "ChatInput", {}, FROZEN), ("out", "ChatOutput", {}, FROZEN)], ["ask.message -> out.input_value"]
    )
    assert rig.run_plan(plan, input_value="my secret", session_id="one").text == "my secret"
    second = rig.run_plan(plan, input_value="hello", session_id="two")
    assert (second.text, kept(second)) == ("hello", [])
    assert [m.text for m in rig.messages(session_id="two")] == ["hello", "hello"]
    assert rig.run_plan(plan, input_value="hello", session_id="three").text == "hello"
    assert [m.text for m in rig.messages(session_id="three")] == ["hello", "hello"]


@pytest.mark.parametrize("between", [(), ("mid",), ("mid", "far")], ids=["next to it", "one between", "two between"])
def test_what_follows_the_request_is_never_kept(rig, between):
    vertices = [
        ("ask", "ChatInput"),
        *((name, "Prompt", {"template": "{x}"}) for name in between),
        ("c", "Counts", {}, FROZEN),
        ("out", "TextOutput"),
    ]
    chain = ["ask.message", *(f"{name}.x {name}.prompt" for name in between), "c.value c.text", "out.input_value"]
    ends = " ".join(chain).split(" ")
    edges = [f"{left} -> {right}" for left, right in zip(ends[::2], ends[1::2], strict=True)]
    plan = rig.plan(vertices, edges)
    assert rig.run_plan(plan, input_value="a", output_type="any").text == "a1"
    assert rig.run_plan(plan, input_value="a", output_type="any").text == "a2"


def test_what_hangs_on_nothing_of_the_request_is_kept_beside_it(rig):
    vertices = [
        ("ask", "ChatInput"),
        ("text", "Prompt", {"template": "t"}),
        ("c", "Counts", {}, FROZEN),
        ("join", "Prompt", {"template": "{x}{y}"}),
        ("out", "ChatOutput"),
    ]
    edges = ["text.prompt -> c.value", "ask.message -> join.x", "c.text -> join.y", "join.prompt -> out.input_value"]
    plan = rig.plan(vertices, edges)
    assert rig.run_plan(plan, input_value="a", session_id="1").text == "at1"
    second = rig.run_plan(plan, input_value="b", session_id="2")
    assert (second.text, kept(second)) == ("bt1", ["c"])


@pytest.mark.parametrize("how", ["memory", "session", "session_id", "run_id"])
@pytest.mark.parametrize("frozen", ["itself", "behind it"])
def test_what_asks_for_the_session_or_the_run_is_not_kept(rig, how, frozen):
    vertices = [
        ("r", "Remembers", {"how": how}, FROZEN if frozen == "itself" else {}),
        ("c", "Counts", {}, FROZEN),
        ("out", "TextOutput"),
    ]
    plan = rig.plan(vertices, ["r.text -> c.value", "c.text -> out.input_value"])
    first, second = rig.run_plan(plan, session_id="one"), rig.run_plan(plan, session_id="two")
    assert kept(second) == []
    assert (first.text[-1], second.text[-1]) == ("1", "2")


def test_a_variable_of_the_request_is_not_kept_and_one_of_the_owner_is(rig):
    for vertices in (
        [("r", "Remembers", {"how": "variable"}, FROZEN), ("out", "TextOutput")],
        [
            ("r", "Prompt", {"template": "{x}", "x": "WHO"}, {"frozen": True, "variables": frozenset({"x"})}),
            ("out", "TextOutput"),
        ],
    ):
        output = "text" if vertices[0][1] == "Remembers" else "prompt"
        plan = rig.plan(vertices, [f"r.{output} -> out.input_value"])
        assert rig.run_plan(plan, variables={"WHO": "Ann"}).text == "Ann"
        assert rig.run_plan(plan, variables={"WHO": "Bob"}).text == "Bob"
        rig.variables["WHO"] = "owner"
        assert rig.run_plan(plan).text == "owner"
        assert kept(rig.run_plan(plan)) == ["r"]
        assert rig.run_plan(plan, variables={"WHO": "Cid"}).text == "Cid"


def test_a_tweak_is_of_the_request(rig):
    plan = rig.plan(
        [("t", "Prompt", {"template": "t"}), ("c", "Counts", {}, FROZEN), ("out", "TextOutput")],
        ["t.prompt -> c.value", "c.text -> out.input_value"],
    )
    assert rig.run_plan(plan, tweaks={"t": {"template": "mine"}}).text == "mine1"
    assert rig.run_plan(plan).text == "t2"
    assert rig.run_plan(plan, tweaks={"t": {"template": "other"}}).text == "other3"
    assert rig.run_plan(plan).text == "t2"


def test_a_tool_that_asks_for_the_session_has_a_part_in_it(rig):
    tool = ("tool", "Remembers", {"how": "session_id"})
    plan = rig.plan(
        [tool, ("c", "CallsTools", {}, FROZEN), ("out", "TextOutput")],
        ["tool.component_as_tool -> c.tools", "c.text -> out.input_value"],
    )
    assert rig.run_plan(plan, session_id="one").text == "one"
    assert rig.run_plan(plan, session_id="two").text == "two"
    counting = ("tool", "Counts", {"value": "n"})
    plan = rig.plan(
        [counting, ("c", "CallsTools", {}, FROZEN), ("out", "TextOutput")],
        ["tool.component_as_tool -> c.tools", "c.text -> out.input_value"],
    )
    assert rig.run_plan(plan, session_id="one").text == "n1"
    assert rig.run_plan(plan, session_id="two").text == "n1"


def test_a_kept_message_is_of_the_session_that_uses_it(rig):
    plan = rig.plan([("c", "Stamps", {"value": "m"}, FROZEN), ("out", "TextOutput")], ["c.text -> out.input_value"])
    rig.run_plan(plan, session_id="one")
    second = rig.run_plan(plan, session_id="two")
    assert kept(second) == ["c"]
    assert second.output("c")["text"].session_id == "two"


def test_another_owner_has_results_of_its_own(rig):
    plan = rig.plan([("c", "Counts", {}, FROZEN), ("out", "TextOutput")], ["c.text -> out.input_value"])
    assert [rig.run_plan(plan, owner=owner).text for owner in ("ann", "ann", "bob")] == ["1", "1", "2"]
