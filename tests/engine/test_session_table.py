"""The session rule over all combinations, on a chain of four components, against an oracle of its own."""

import itertools
import uuid

import pytest

from flowrunner import SessionRequired
from flowrunner.errors import RequestInvalid
from tests.engine.rig import FLOW_ID, Pass, open_rig

CHAIN = ("ask", "first", "second", "answer")


def oracle(*, edges, payload, settings, policy):
    """Say which session each component of the chain uses and who decided, reading the table row by row."""
    decided = {}
    upstream = None
    for name in CHAIN:
        if name in edges:
            decided[name] = (f"edge-{name}", "edge", name)
        elif payload:
            decided[name] = ("paid", "payload", None)
        elif settings.get(name):
            decided[name] = (settings[name], "component", name)
        elif upstream is not None:
            decided[name] = upstream
        elif settings.get("ask"):
            decided[name] = (settings["ask"], "component", "ask")
        elif policy == "flow_id":
            decided[name] = (FLOW_ID, "flow", None)
        elif policy == "generate":
            decided[name] = ("*", "generated", None)
        else:
            return None
        upstream = decided[name]
    return decided


def subsets(names):
    return itertools.chain.from_iterable(itertools.combinations(names, n) for n in range(len(names) + 1))


COMBINATIONS = [
    (edges, payload, settings, policy)
    for edges in subsets(CHAIN)
    for payload in ("", "paid")
    for settings in subsets(CHAIN)
    for policy in ("flow_id", "generate", "require")
]


def flow_of(edges, settings):
    def fields(name):
        return {"session_id": f"set-{name}"} if name in settings else {}

    vertices = [
        ("ask", "ChatInput", fields("ask")),
        ("first", "Pass", fields("first")),
        ("second", "Pass", fields("second")),
        ("answer", "ChatOutput", fields("answer")),
    ]
    joined = ["ask.message -> first.value", "first.text -> second.value", "second.text -> answer.input_value"]
    for name in edges:
        vertices.append((f"names-{name}", "TextInput", {"input_value": f"edge-{name}", "session_id": "noise"}))
        joined.append(f"names-{name}.text -> {name}.session_id")
    return vertices, joined


@pytest.mark.parametrize("policy", ["flow_id", "generate", "require"])
def test_every_combination_is_decided_as_the_table_says(tmp_path, policy):
    with open_rig(tmp_path, session_policy=policy) as rig:
        seen = 0
        for edges, payload, settings, wanted_policy in COMBINATIONS:
            if wanted_policy != policy:
                continue
            seen += 1
            expected = oracle(edges=edges, payload=payload, settings={n: f"set-{n}" for n in settings}, policy=policy)
            plan = rig.plan(*flow_of(edges, settings))
            if expected is None:
                with pytest.raises(SessionRequired):
                    rig.run_plan(plan, session_id=payload)
                continue
            result = rig.run_plan(plan, session_id=payload)
            generated = {v.session.id for v in result.vertices if v.session.source == "generated"}
            assert len(generated) <= 1
            for vertex in result.vertices:
                if vertex.vertex_id not in expected:
                    continue
                wanted_id, source, component = expected[vertex.vertex_id]
                got = vertex.session
                assert (got.source, got.component) == (source, component), (edges, payload, settings, vertex.vertex_id)
                if wanted_id == "*":
                    assert uuid.UUID(got.id)
                else:
                    assert got.id == wanted_id
            wanted_id, source, component = expected["answer"]
            answer = ("paid", "payload", None) if payload else (wanted_id, source, component)
            shown = result.to_json()
            assert shown["session"]["source"] == answer[1]
            assert shown["session"]["component"] == answer[2]
            assert shown["session_id"] == shown["session"]["id"]
            if answer[0] != "*":
                assert shown["session_id"] == answer[0]
        assert seen == 16 * 2 * 16


def test_a_message_is_stored_in_the_session_of_its_component(rig):
    vertices, edges = flow_of(("answer",), ("ask",))
    rig.run(vertices, edges)
    assert [(m.sender, m.session_id) for m in rig.messages()] == [("User", "set-ask"), ("Machine", "edge-answer")]


def test_what_a_history_reads_carries_no_session_downstream(rig):
    vertices = [
        ("ask", "ChatInput", {}),
        ("past", "Memory", {"session_id": "elsewhere"}),
        ("prompt", "Prompt", {"template": "{past}{question}"}),
        ("answer", "ChatOutput", {}),
    ]
    edges = [
        "past.messages_text -> prompt.past",
        "ask.message -> prompt.question",
        "prompt.prompt -> answer.input_value",
    ]
    result = rig.run(vertices, edges)
    sessions = {v.vertex_id: v.session.id for v in result.vertices}
    assert sessions == {"ask": FLOW_ID, "past": "elsewhere", "prompt": FLOW_ID, "answer": FLOW_ID}


def test_the_chat_inputs_setting_is_the_conversation_for_a_history_with_nothing_upstream(rig):
    vertices = [
        ("ask", "ChatInput", {"session_id": "talk"}),
        ("past", "Memory", {}),
        ("prompt", "Prompt", {"template": "{past}|{question}"}),
        ("answer", "ChatOutput", {}),
    ]
    edges = [
        "past.messages_text -> prompt.past",
        "ask.message -> prompt.question",
        "prompt.prompt -> answer.input_value",
    ]
    plan = rig.plan(vertices, edges)
    rig.run_plan(plan, input_value="one")
    result = rig.run_plan(plan, input_value="two")
    assert result.text == "User: one\nAI: |one|two"


def test_a_tweak_of_a_session_counts_like_a_setting(rig):
    vertices, edges = flow_of((), ())
    result = rig.run(vertices, edges, tweaks={"ask": {"session_id": "tweaked"}})
    assert {v.session.id for v in result.vertices} == {"tweaked"}
    assert result.session.to_json() == {"id": "tweaked", "source": "component", "component": "ask"}


@pytest.mark.parametrize(
    "session_id", ["a/b//c", "100%25 of %2F", "  spaced ", "🦜" * 10, "x" * 2000, "new\nline", "0"]
)
def test_session_ids_are_kept_byte_for_byte(rig, session_id):
    vertices, edges = flow_of((), ())
    result = rig.run(vertices, edges, session_id=session_id)
    assert result.session_id == session_id
    assert {m.session_id for m in rig.messages(session_id=session_id)} == {session_id}


def test_the_rig_has_a_component_that_only_passes():
    assert Pass().run(None, value="x", session_id="")["text"] == "x"


@pytest.mark.parametrize("tweaks", [{"in": {"session_id": 5}}, {"session_id": 5}, {"in": {"session_id": {"value": 5}}}])
def test_a_number_as_a_session_is_a_text(rig, tweaks):
    rig.run(
        [("in", "ChatInput", {"session_id": "own"}), ("o", "ChatOutput")],
        ["in.message -> o.input_value"],
        tweaks=tweaks,
    )
    assert [m.session_id for m in rig.messages()] == ["5", "5"]


@pytest.mark.parametrize("value", [True, ["a"], {"value": {"a": 1}}])
def test_a_session_of_another_kind_is_refused(rig, value):
    with pytest.raises(RequestInvalid, match="session_id must be a string"):
        rig.run([("in", "ChatInput")], tweaks={"in": {"session_id": value}})
    assert rig.messages() == []
