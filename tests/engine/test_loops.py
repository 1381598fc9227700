"""Loops: the body runs anew for each item, and what comes back is gathered."""

from __future__ import annotations

import pytest

from flowrunner import Component, FlowRunnerError, Input, Output
from flowrunner.engine.plan import make_plan
from flowrunner.errors import EdgeInvalid
from flowrunner.flows.model import Edge
from tests.engine.rig import make_flow, open_rig

RAN = []


class Shout(Component):
    """Return the text of an object in capitals, and note it."""

    type_name = "Shout"
    inputs = (Input("value", "any", accepts=("Data", "Table", "Message"), required=True), Input("more", "str"))
    outputs = (Output("data", "Data"), Output("other", "Data"))

    def run(self, context, value, more):
        text = value["text"] if isinstance(value, dict) else str(value)
        RAN.append(f"{context.vertex_id}:{text}{more}")
        if text == "break":
            raise ValueError("it breaks")
        if text == "leave out":
            return {"other": {"text": text}}
        return {"data": {"text": (text + more).upper()}}


class Rows(Component):
    """Return rows of texts."""

    type_name = "Rows"
    inputs = (Input("texts", "list", default=[]),)
    outputs = (Output("rows", "Table"),)

    def run(self, context, texts):
        return {"rows": [{"text": text} for text in texts]}


@pytest.fixture
def rig(tmp_path):
    RAN.clear()
    with open_rig(tmp_path, components=(Shout, Rows)) as rig:
        yield rig


def run(rig, texts, edges, *, back=(("body", "data"),), more=(), **request):
    """Run a flow with rows, a loop and an answer; ``back`` are the outputs that lead back into the loop."""
    vertices = [("rows", "Rows", {"texts": texts}), ("loop", "LoopComponent"), ("body", "Shout"), ("out", "ChatOutput")]
    returns = tuple(Edge(source, output, "loop", "item", feedback=True) for source, output in back)
    flow = make_flow([*vertices, *more], ["rows.rows -> loop.data", *edges])
    object.__setattr__(flow, "edges", (*flow.edges, *returns))
    return rig.run_plan(make_plan(flow, rig.registry), **request)


def outputs(result, vertex):
    return next(v.outputs for v in result.vertices if v.vertex_id == vertex)


PLAIN = ["loop.item -> body.value", "loop.done -> out.input_value"]


@pytest.mark.parametrize("texts", [["a", "b", "c"], ["a"], []], ids=str)
def test_the_body_runs_for_each_item_and_the_end_has_a_row_of_each(rig, texts):
    result = run(rig, texts, PLAIN)
    assert [f"body:{text}" for text in texts] == RAN
    assert outputs(result, "loop") == {"done": [{"text": text.upper()} for text in texts]}
    assert result.text if texts else True


def test_an_item_of_which_nothing_comes_back_has_no_row(rig):
    result = run(rig, ["a", "leave out", "b"], PLAIN)
    assert outputs(result, "loop")["done"] == [{"text": "A"}, {"text": "B"}]


def test_a_body_of_several_steps_gets_what_it_needs_from_elsewhere_first(rig):
    more = [("late", "Rows", {"texts": ["x"]}), ("word", "TextInput", {"input_value": "!"}), ("second", "Shout")]
    edges = [
        "loop.item -> body.value",
        "word.text -> body.more",
        "body.data -> second.value",
        "loop.done -> out.input_value",
    ]
    result = run(rig, ["a", "b"], edges, back=[("second", "data")], more=more)
    assert RAN == ["body:a!", "second:A!", "body:b!", "second:B!"]
    assert outputs(result, "loop")["done"] == [{"text": "A!"}, {"text": "B!"}]


def test_what_follows_both_the_item_and_the_end_runs_once_at_the_end(rig):
    more = [("merge", "MergeDataComponent", {"operation": "Append"})]
    edges = [
        "loop.item -> body.value",
        "loop.done -> merge.data_inputs",
        "body.data -> merge.data_inputs",
        "merge.combined_data -> out.input_value",
    ]
    result = run(rig, ["a", "b"], edges, more=more)
    assert outputs(result, "merge")["combined_data"] == [{"text": "A"}, {"text": "B"}, {"text": "B"}]


def test_an_output_in_the_body_answers_for_each_item_and_the_conversation_has_all(rig):
    more = [("said", "ChatOutput")]
    edges = [*PLAIN, "body.data -> said.input_value"]
    run(rig, ["a", "b"], edges, more=more, session_id="s")
    texts = [message.text for message in rig.messages(session_id="s")]
    assert len(texts) == 3
    assert '"A"' in texts[0]
    assert '"B"' in texts[1]


def test_a_loop_within_a_loop(rig):
    vertices = [("rows", "Rows", {"texts": ["a", "b"]}), ("outer", "LoopComponent"), ("pass", "Shout")]
    vertices += [("inner", "LoopComponent"), ("body", "Shout"), ("out", "ChatOutput")]
    edges = ["rows.rows -> outer.data", "outer.item -> pass.value", "pass.data -> inner.data"]
    edges += ["inner.item -> body.value", "outer.done -> out.input_value"]
    flow = make_flow(vertices, edges)
    back = (Edge("body", "data", "inner", "item", feedback=True), Edge("inner", "done", "outer", "item", feedback=True))
    object.__setattr__(flow, "edges", (*flow.edges, *back))
    result = rig.run_plan(make_plan(flow, rig.registry))
    assert RAN == ["pass:a", "body:A", "pass:b", "body:B"]
    assert outputs(result, "outer")["done"] == [{"text": "A"}, {"text": "B"}]


def test_a_failure_in_the_body_ends_the_run_with_its_component(rig):
    with pytest.raises(FlowRunnerError, match="Shout.*it breaks"):
        run(rig, ["a", "break", "b"], PLAIN)
    assert RAN == ["body:a", "body:break"]


def test_a_run_that_takes_too_long_ends_in_the_body(tmp_path):
    RAN.clear()
    with open_rig(tmp_path, components=(Shout, Rows), run_timeout=0.2) as rig, pytest.raises(FlowRunnerError):
        run(rig, ["a"] * 1_000_000, PLAIN)


def test_an_edge_back_from_an_output_that_is_not_there_is_refused(rig):
    with pytest.raises(EdgeInvalid, match="has no output nothing"):
        run(rig, ["a"], PLAIN, back=[("body", "nothing")])


@pytest.mark.parametrize(
    ("data", "items"),
    [
        ([{"a": 1}, {"b": 2}], 2),
        ({"a": 1}, 1),
        ({"results": [{"a": 1}, {"a": 2}]}, 2),
        ("text", 1),
        ("", 0),
        (None, 0),
        ([], 0),
    ],
    ids=str,
)
def test_what_arrives_is_a_list_of_items(rig, data, items):
    component = rig.registry.component("LoopComponent")
    assert len(component.run(None, data=data)["item"]) == items
