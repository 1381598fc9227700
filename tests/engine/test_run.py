"""A run: what runs, in which order, what it says and stores, how it fails and stops."""

import threading
import time

import pytest

from flowrunner import (
    BadRequest,
    CancelToken,
    Component,
    ComponentFailed,
    FlowInvalid,
    Input,
    Output,
    RunCancelled,
    text_of,
)
from flowrunner.errors import EdgeInvalid, RequestInvalid, RunTimeout, TweakRefused
from tests.engine.rig import FLOW_ID, texts

ECHO = [("ask", "ChatInput"), ("answer", "ChatOutput")], ["ask.message -> answer.input_value"]


class Boom(Component):
    """Fail."""

    type_name = "TestBoom"
    inputs = (Input("value"),)
    outputs = (Output("text"),)

    def run(self, context, value):
        raise ValueError(f"boom: {text_of(value)}")


class Waits(Component):
    """Wait until every sibling waits too."""

    type_name = "Waits"
    inputs = (Input("value"),)
    outputs = (Output("text"),)
    blocking = True
    together = threading.Barrier(2)

    def run(self, context, value):
        self.together.wait(timeout=10)
        return {"text": f"{context.vertex_id}:{text_of(value)}"}


class Speaks(Component):
    """Say words one after the other."""

    type_name = "Speaks"
    inputs = (Input("value"), Input("words", "int", default=3))
    outputs = (Output("text"),)
    blocking = True

    def run(self, context, value, words):
        said = []
        for number in range(words):
            said.append(f"w{number} ")
            yield said[-1]
            context.cancelled.raise_if_set()
        return {"text": "".join(said)}


class Counts(Component):
    """Count its calls."""

    type_name = "Counts"
    inputs = (Input("value"),)
    outputs = (Output("text"),)

    def __init__(self):
        self.calls = 0

    def run(self, context, value):
        self.calls += 1
        return {"text": f"call {self.calls}"}


@pytest.fixture
def rig(make_rig):
    return make_rig(components=(Boom, Waits, Speaks, Counts))


def test_an_echo_stores_both_turns_and_answers_with_the_text(rig):
    events = []
    result = rig.run(*ECHO, input_value="Hello", session_id="s", emit=events.append)
    assert result.text == "Hello"
    assert [(m.sender, m.text, m.session_id) for m in rig.messages()] == [
        ("User", "Hello", "s"),
        ("Machine", "Hello", "s"),
    ]
    assert [e.kind for e in events] == [
        "run_started",
        "vertex_started",
        "vertex_finished",
        "vertex_started",
        "vertex_finished",
        "message_added",
        "message_added",
        "run_finished",
    ]
    assert [e.seq for e in events] == list(range(1, len(events) + 1))
    assert {e.run_id for e in events} == {result.run_id}


def test_both_turns_of_a_plain_run_are_one_append(rig, monkeypatch):
    appended = []
    append = rig.memory.backend.append_messages
    monkeypatch.setattr(rig.memory.backend, "append_messages", lambda m: appended.append(len(m)) or append(m))
    rig.run(*ECHO)
    assert appended == [2]


def test_a_failing_component_ends_the_run_with_its_name_and_leaves_an_error_row(rig):
    vertices = [("ask", "ChatInput"), ("bad", "TestBoom"), ("answer", "ChatOutput")]
    edges = ["ask.message -> bad.value", "bad.text -> answer.input_value"]
    events = []
    with pytest.raises(ComponentFailed, match="TestBoom: boom: hi") as caught:
        rig.run(vertices, edges, session_id="s", emit=events.append)
    assert isinstance(caught.value.__cause__, ValueError)
    assert caught.value.vertex_id == "bad"
    rows = rig.messages(session_id="s")
    assert [(m.sender, m.error, m.category) for m in rows] == [
        ("User", True, "message"),
        ("TestBoom", True, "error"),
    ]
    assert rows[0].properties["unanswered"] == "error"
    assert "Traceback" not in str(rows[1].to_record())
    assert events[-1].kind == "run_failed"


def test_neither_an_error_row_nor_its_question_enters_a_history(rig):
    bad = [("ask", "ChatInput"), ("bad", "TestBoom"), ("answer", "ChatOutput")]
    with pytest.raises(ComponentFailed):
        rig.run(bad, ["ask.message -> bad.value", "bad.text -> answer.input_value"], session_id="s")
    good = [
        ("past", "Memory"),
        ("ask", "ChatInput"),
        ("p", "Prompt", {"template": "{past}|{q}"}),
        ("out", "ChatOutput"),
    ]
    edges = ["past.messages_text -> p.past", "ask.message -> p.q", "p.prompt -> out.input_value"]
    assert rig.run(good, edges, session_id="s", input_value="two").text == "|two"


def test_credentials_in_an_error_are_not_repeated(make_rig):
    class Leaks(Component):
        """Leak."""

        type_name = "Leaks"
        outputs = (Output("text"),)

        def run(self, context):
            raise ValueError("Incorrect API key provided: sk-abcdefghijklmnopqrstuvwxyz012345")

    rig = make_rig(components=(Leaks,))
    with pytest.raises(ComponentFailed) as caught:
        rig.run([("x", "Leaks")], session_id="s")
    assert "abcdefghijklmnopqrstuvwxyz" not in str(caught.value)
    assert "abcdefghijklmnopqrstuvwxyz" not in str([m.to_record() for m in rig.messages()])


def test_the_branch_not_taken_disappears_with_all_that_follows_it(rig):
    vertices = [
        ("ask", "ChatInput"),
        ("choose", "ConditionalRouter", {"match_text": "yes", "operator": "equals"}),
        ("left", "Pass"),
        ("deeper", "Pass"),
        ("shared", "Prompt", {"template": "[{a}{b}]"}),
        ("yes", "ChatOutput"),
        ("no", "ChatOutput"),
        ("both", "ChatOutput"),
    ]
    edges = [
        "ask.message -> choose.input_text",
        "choose.true_result -> left.value",
        "left.text -> deeper.value",
        "deeper.text -> yes.input_value",
        "choose.false_result -> no.input_value",
        "deeper.text -> shared.a",
        "ask.message -> shared.b",
        "shared.prompt -> both.input_value",
    ]
    ran = {v.vertex_id for v in rig.run(vertices, edges, input_value="no").vertices}
    assert ran == {"ask", "choose", "no"}
    ran = {v.vertex_id for v in rig.run(vertices, edges, input_value="yes").vertices}
    assert ran == {"ask", "choose", "left", "deeper", "yes", "shared", "both"}


def test_the_edge_of_a_branch_not_taken_never_overrides_a_live_one(rig):
    vertices = [
        ("ask", "ChatInput"),
        ("choose", "ConditionalRouter", {"match_text": "x", "operator": "equals", "false_case_message": "F!"}),
        ("answer", "ChatOutput"),
    ]
    edges = [
        "ask.message -> choose.input_text",
        "choose.true_result -> answer.input_value",
        "choose.false_result -> answer.input_value",
    ]
    assert rig.run(vertices, edges, input_value="x").text == "x"
    assert rig.run(vertices, edges, input_value="y").text == "F!"


def test_islands_are_skipped_and_said(rig):
    vertices = [*ECHO[0], ("lonely", "ChatOutput"), ("other", "TextInput"), ("end", "TextOutput")]
    plan = rig.plan(vertices, [*ECHO[1], "other.text -> end.input_value"])
    result = rig.run_plan(plan)
    assert [v.vertex_id for v in result.vertices] == ["ask", "answer"]
    assert len([w for w in plan.warnings if "is not connected to the flow's input" in w]) == 3


def test_a_flow_without_a_start_runs_whole(rig):
    vertices = [("a", "TextInput", {"input_value": "A"}), ("b", "TextOutput"), ("c", "TextInput"), ("d", "TextOutput")]
    result = rig.run(vertices, ["a.text -> b.input_value", "c.text -> d.input_value"], output_type="any")
    assert [v.vertex_id for v in result.vertices] == ["a", "b", "c", "d"]


def test_blocking_components_wait_side_by_side(rig):
    vertices = [
        ("ask", "ChatInput"),
        ("one", "Waits"),
        ("two", "Waits"),
        ("join", "Prompt", {"template": "{a} {b}"}),
        ("answer", "ChatOutput"),
    ]
    edges = [
        "ask.message -> one.value",
        "ask.message -> two.value",
        "one.text -> join.a",
        "two.text -> join.b",
        "join.prompt -> answer.input_value",
    ]
    assert rig.run(vertices, edges).text == "one:hi two:hi"


def test_context_variables_reach_components_on_the_pool(make_rig):
    from contextvars import ContextVar

    word = ContextVar("word")

    class Reads(Component):
        """Read a context variable."""

        type_name = "ReadsContext"
        outputs = (Output("text"),)
        blocking = True

        def run(self, context):
            return {"text": word.get()}

    word.set("carried over")
    rig = make_rig(components=(Reads,))
    assert rig.run([("x", "ReadsContext"), ("o", "TextOutput")], ["x.text -> o.input_value"]).text == "carried over"


def test_tokens_reach_the_reader_before_the_message_under_one_id(rig):
    vertices = [("ask", "ChatInput"), ("model", "Speaks"), ("answer", "ChatOutput")]
    edges = ["ask.message -> model.value", "model.text -> answer.input_value"]
    events = []
    rig.run(vertices, edges, session_id="s", emit=events.append, streaming=True)
    shown = [
        (e.kind, e.data.get("text"), e.data["message"].text if "message" in e.data else None)
        for e in events
        if e.kind in ("token", "message_added")
    ]
    assert shown == [
        ("message_added", None, "hi"),
        ("message_added", None, ""),
        ("token", "w0 ", None),
        ("token", "w1 ", None),
        ("token", "w2 ", None),
        ("message_added", None, "w0 w1 w2 "),
    ]
    ids = {e.data["message_id"] for e in events if e.kind == "token"}
    replies = [e.data["message"] for e in events if e.kind == "message_added"][1:]
    assert {m.id for m in replies} == ids
    assert [m.properties["state"] for m in replies] == ["partial", "complete"]
    assert texts(rig.messages(session_id="s")) == ["hi", "w0 w1 w2 "]


def test_a_cancelled_reply_is_kept_as_partial(rig):
    vertices = [("ask", "ChatInput"), ("model", "Speaks", {"words": 1000}), ("answer", "ChatOutput")]
    edges = ["ask.message -> model.value", "model.text -> answer.input_value"]
    token, events = CancelToken(), []

    def read(event):
        events.append(event)
        if event.kind == "token" and event.data["text"] == "w4 ":
            token.cancel("the client disconnected")

    with pytest.raises(RunCancelled):
        rig.run(vertices, edges, session_id="s", emit=read, streaming=True, cancelled=token)
    rows = rig.messages(session_id="s")
    assert [m.sender for m in rows] == ["User", "Machine"]
    assert rows[1].properties["state"] == "partial"
    assert rows[1].text == "w0 w1 w2 w3 w4 "
    assert events[-1].kind == "run_cancelled"


def test_a_run_over_its_time_is_stopped(make_rig):
    class Sleeps(Component):
        """Wait for its cancellation."""

        type_name = "Sleeps"
        outputs = (Output("text"),)
        blocking = True

        def run(self, context):
            context.cancelled.wait(30)
            context.cancelled.raise_if_set()
            return {"text": "too late"}

    rig = make_rig(components=(Sleeps,), run_timeout=0.2)
    with pytest.raises(RunTimeout, match="longer than 0.2 seconds"):
        rig.run([("x", "Sleeps"), ("o", "TextOutput")], ["x.text -> o.input_value"])


@pytest.mark.parametrize(
    "tweaks, text",
    [
        ({"p": {"template": "T {q}"}}, "T hi"),
        ({"p": {"template": {"value": "V {q}"}}}, "V hi"),
        ({"Prompt Template": {"template": "N {q}"}}, "N hi"),
        ({"template": "G {q}"}, "G hi"),
        ({"template": "G {q}", "p": {"template": "I {q}"}}, "I hi"),
        ({"p": {"nothing": 1}, "nobody": {"x": 1}}, "P hi"),
        ({"p": {"q": "an edge feeds it"}}, "P hi"),
        ({"p": {"template": None}}, ""),
        ({"p": {"template": 5}}, "5"),
    ],
)
def test_tweaks_change_one_run(rig, tweaks, text):
    vertices = [("ask", "ChatInput"), ("p", "Prompt", {"template": "P {q}"}), ("answer", "ChatOutput")]
    plan = rig.plan(vertices, ["ask.message -> p.q", "p.prompt -> answer.input_value"])
    assert rig.run_plan(plan, tweaks=tweaks).text == text
    assert rig.run_plan(plan).text == "P hi"


@pytest.mark.parametrize("tweaks", [{"ask": {"code": "x"}}, {"code": "x"}, {"nobody": {"_type": "x"}}])
def test_a_protected_field_is_refused_and_nothing_runs(rig, tweaks):
    with pytest.raises(TweakRefused) as caught:
        rig.run(*ECHO, tweaks=tweaks)
    assert caught.value.detail["code"] == "TWEAKS_REFUSED"
    assert rig.messages() == []


def test_a_tweak_of_no_use_to_its_field_says_which(rig):
    with pytest.raises(RequestInvalid, match="should_store_message must be true or false") as caught:
        rig.run(*ECHO, tweaks={"ask": {"should_store_message": "perhaps"}})
    assert caught.value.detail[0]["loc"] == ["body", "tweaks", "ask"]


def test_an_input_and_a_tweak_of_it_contradict_each_other(rig):
    with pytest.raises(BadRequest, match="cannot pass a tweak with the same name"):
        rig.run(*ECHO, tweaks={"ChatInput-x": {"input_value": "t"}})
    assert rig.run(*ECHO, input_value=None, tweaks={"ask": {"input_value": "t"}}).text == "t"


def test_variables_of_the_request_beat_stored_ones(rig):
    vertices = [
        ("t", "TextInput", {"input_value": "GREETING"}, {"variables": frozenset({"input_value"})}),
        ("o", "TextOutput"),
    ]
    plan = rig.plan(vertices, ["t.text -> o.input_value"])
    with pytest.raises(ComponentFailed, match="the variable GREETING"):
        rig.run_plan(plan, input_value=None)
    rig.variables["GREETING"] = "stored"
    assert rig.run_plan(plan, input_value=None).text == "stored"
    result = rig.run_plan(plan, input_value=None, variables={"GREETING": "given"})
    assert result.text == "given"
    assert result.vertices[0].inputs["input_value"] == "GREETING"


def test_a_frozen_vertex_is_called_once_per_owner_and_values(rig):
    vertices = [("c", "Counts", {}, {"frozen": True}), ("o", "TextOutput")]
    plan = rig.plan(vertices, ["c.text -> o.input_value"])
    assert rig.run_plan(plan).text == "call 1"
    again = rig.run_plan(plan)
    assert again.text == "call 1"
    assert [v.used_frozen_result for v in again.vertices] == [True, False]
    assert rig.run_plan(plan, owner="another").text == "call 2"
    assert rig.run_plan(plan, tweaks={"c": {"value": "other"}}).text == "call 3"


def test_a_circle_is_refused_by_name(rig):
    with pytest.raises(FlowInvalid, match=r"Pass \(a\), Pass \(b\)"):
        rig.plan([*ECHO[0], ("a", "Pass"), ("b", "Pass")], [*ECHO[1], "a.text -> b.value", "b.text -> a.value"])


def test_an_edge_to_nowhere_and_an_unknown_output_are_refused(rig):
    with pytest.raises(FlowInvalid, match="the vertex ghost, which does not exist"):
        rig.plan(ECHO[0], ["ask.message -> ghost.input_value"])
    with pytest.raises(EdgeInvalid, match="Chat Input has no output nosuch"):
        rig.plan(ECHO[0], ["ask.nosuch -> answer.input_value"])


def test_an_unknown_type_is_refused_only_where_an_output_needs_it(rig):
    with pytest.raises(FlowInvalid, match=r"No plugin offers Mystery \(vertex m\)"):
        rig.plan(
            [("ask", "ChatInput"), ("m", "Mystery"), ("answer", "ChatOutput")],
            ["ask.message -> m.x", "m.y -> answer.input_value"],
        )
    plan = rig.plan([*ECHO[0], ("m", "Mystery")], [*ECHO[1], "ask.message -> m.x"])
    assert rig.run_plan(plan).text == "hi"
    assert any("no plugin offers Mystery" in w for w in plan.warnings)


@pytest.mark.parametrize(
    "request_, reported",
    [
        ({}, ["answer"]),
        ({"output_type": "debug"}, ["ask", "p", "answer"]),
        ({"output_component": "p"}, ["p"]),
        ({"output_component": "Prompt Template"}, ["p"]),
        ({"output_component": "nobody"}, []),
        ({"output_type": "text"}, ["answer"]),
    ],
)
def test_what_is_reported_never_prunes_what_runs(rig, request_, reported):
    vertices = [("ask", "ChatInput"), ("p", "Prompt", {"template": "{q}"}), ("answer", "ChatOutput")]
    result = rig.run(vertices, ["ask.message -> p.q", "p.prompt -> answer.input_value"], **request_)
    assert [v.vertex_id for v in result.reported] == reported
    assert len(result.vertices) == 3


@pytest.mark.parametrize(
    "text", ["", "🦜‍👨‍👩‍👧", "a\0b", "\r\n\t", "{x} {{y}}", "مرحبا", "<b>&amp;</b>", "x" * 100_000]
)
def test_any_text_comes_back_as_it_was(rig, text):
    assert rig.run(*ECHO, input_value=text).text == text


def test_a_long_chain_is_no_deep_recursion(rig):
    count = 3000
    vertices = [(f"v{i}", "Pass", {"value": "x"}) for i in range(count)]
    edges = [f"v{i}.text -> v{i + 1}.value" for i in range(count - 1)]
    result = rig.run(vertices, edges, output_type="debug")
    assert len(result.reported) == count


def test_what_begins_together_with_a_failure_is_finished_and_no_more(make_rig):
    rig = make_rig(components=(Boom,))
    vertices = [
        ("in", "ChatInput"),
        ("boom", "TestBoom"),
        ("here", "ChatOutput"),
        ("p", "Pass"),
        ("later", "ChatOutput"),
    ]
    edges = [
        "in.message -> boom.value",
        "in.message -> here.input_value",
        "in.message -> p.value",
        "p.text -> later.input_value",
    ]
    for order in (edges, edges[::-1]):
        session = str(order is edges)
        with pytest.raises(ComponentFailed, match="boom"):
            rig.run(vertices, order, session_id=session)
        assert sorted(m.text for m in rig.messages(session_id=session) if not m.error) == ["hi", "hi"]
        assert [m.sender for m in rig.messages(session_id=session) if not m.error].count("Machine") == 1


def test_an_edge_that_names_no_input_is_refused_as_check_says(rig):
    with pytest.raises(EdgeInvalid, match="does not name an input, and there are several"):
        rig.run([("in", "ChatInput"), ("model", "Memory")], ["in.message -> model."])


def test_a_window_wider_than_any_store_counts(rig):
    vertices, edges = [("h", "Memory"), ("o", "ChatOutput")], ["h.messages_text -> o.input_value"]
    assert rig.run(vertices, edges, tweaks={"h": {"n_messages": 2**70}}).text == ""


def test_siblings_of_a_failure_are_asked_to_stop(make_rig):
    seen = []

    class Patient(Component):
        """Wait until it is told to stop."""

        type_name = "Patient"
        outputs = (Output("text"),)
        blocking = True

        def run(self, context):
            seen.append(context.cancelled.wait(20))
            return {"text": ""}

    class Hasty(Component):
        """Fail on the pool."""

        type_name = "Hasty"
        outputs = (Output("text"),)
        blocking = True

        def run(self, context):
            raise RuntimeError("no")

    rig = make_rig(components=(Patient, Hasty))
    started = time.monotonic()
    with pytest.raises(ComponentFailed, match="Hasty"):
        rig.run([("a", "Patient"), ("b", "Hasty"), ("o", "TextOutput")], ["a.text -> o.input_value"])
    rig.pool.shutdown(wait=True)
    assert seen == [True]
    assert time.monotonic() - started < 15


def test_the_flow_id_is_the_session_of_a_plain_run(rig):
    assert rig.run(*ECHO).session_id == FLOW_ID
