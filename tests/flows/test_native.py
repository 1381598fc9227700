"""The short form that people write by hand."""

import json

import pytest

from flowrunner import FlowInvalid
from flowrunner.flows.model import Edge, Port
from flowrunner.flows.reading import read_flows
from tests.flows.exports import native


def read(raw):
    (flow,) = read_flows(raw)
    return flow


def component(**entry):
    return read(native(components={"a": {"type": "A", **entry}}, edges=[])).vertices[0]


def test_the_smallest_flow():
    flow = read({"components": {}})
    assert (flow.vertices, flow.edges, flow.findings) == ((), (), ())


def test_components_and_edges():
    flow = read(native(description="Says it again", endpoint_name="again"))
    assert [(v.id, v.type) for v in flow.vertices] == [("in", "ChatInput"), ("out", "ChatOutput")]
    assert flow.edges == (Edge("in", "message", "out", "input_value"),)
    assert (flow.name, flow.description, flow.endpoint_name) == ("Native test", "Says it again", "again")


def test_settings_and_variables():
    settings = {"key": {"$variable": "OPENAI_API_KEY"}, "n": 3, "none": None, "plain": {"a": 1}}
    found = component(settings=settings)
    assert found.settings == {"key": "OPENAI_API_KEY", "n": 3, "plain": {"a": 1}}
    assert found.variables == {"key"}


def test_an_object_that_only_looks_like_a_variable():
    found = component(settings={"a": {"$value": {"$variable": "x"}}, "b": {"$variable": "x", "more": 1}})
    assert found.settings == {"a": {"$variable": "x"}, "b": {"$variable": "x", "more": 1}}
    assert found.variables == frozenset()


def test_everything_a_component_may_say():
    found = component(
        display_name="Name",
        description="Does it",
        hidden={"h": 1},
        frozen=True,
        tool_mode=True,
        tool_name="do_it",
        edited=True,
        is_input=True,
        is_output=False,
        selected_output="x",
        protected=["p"],
        secrets=["s"],
        group="g",
        outputs=["x", {"name": "y", "types": ["Data"], "group": True}],
        fields={"f": "int"},
        position=[1, -2.5],
    )
    assert (found.display_name, found.description, found.tool_name) == ("Name", "Does it", "do_it")
    assert (found.frozen, found.tool_mode, found.edited) == (True, True, True)
    assert (found.is_input, found.is_output, found.selected_output) == (True, False, "x")
    assert (found.hidden, found.protected, found.field_types) == ({"h": 1}, {"p"}, {"f": "int"})
    assert found.listed_outputs == (Port("x"), Port("y", ("Data",), True))
    assert (found.position, found.parent, found.secrets) == ((1.0, -2.5), "g", {"s"})


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        ("a.x -> b.y", ("a", "x", "b", "y")),
        ("a.x->b.y", ("a", "x", "b", "y")),
        ("  a.x  ->  b.y ", ("a", "x", "b", "y")),
        ("a -> b", ("a", None, "b", "")),
        ("a.x -> b", ("a", "x", "b", "")),
        ("a.x.y -> b.y z", ("a", "x.y", "b", "y z")),
        ("d.o.t.x -> b.ü", ("d.o.t", "x", "b", "ü")),
        ("d.o.t -> b.y", ("d.o.t", None, "b", "y")),
        ("two words.x -> 图.y", ("two words", "x", "图", "y")),
    ],
)
def test_edges_as_text(text, ends):
    names = ("a", "b", "d.o.t", "two words", "图")
    flow = read(native(components={name: {"type": "T"} for name in names}, edges=[text]))
    assert flow.findings == ()
    assert [(e.source, e.output, e.target, e.input) for e in flow.edges] == [ends]


def test_an_edge_as_object():
    edge = {
        "source": "a -> b",
        "output": "x",
        "target": "c",
        "input": "y.z",
        "output_types": ["Data"],
        "input_types": ["Data"],
        "feedback": True,
    }
    flow = read(native(components={"a -> b": {"type": "T"}, "c": {"type": "T"}}, edges=[edge]))
    assert flow.edges == (Edge("a -> b", "x", "c", "y.z", ("Data",), ("Data",), True),)


def test_the_same_edge_twice_counts_once():
    assert len(read(native(edges=["in.message -> out.input_value"] * 2)).edges) == 1


def test_an_edge_to_nothing_is_an_error_that_loads_with_a_hint():
    flow = read(native(edges=["in.message -> outt.input_value"]))
    assert flow.edges == ()
    (finding,) = flow.findings
    assert (finding.code, finding.level) == ("missing-vertex", "error")
    assert finding.message == "Vertex outt not found; edges[0] names it. Did you mean out?"


def test_types_that_do_not_meet():
    edge = {"source": "in", "target": "out", "output_types": ["Embeddings"], "input_types": ["Data"]}
    assert [f.code for f in read(native(edges=[edge])).findings] == ["edge-invalid"]


ONE = {"type": "T"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"edge": []}, "edge: unknown key; did you mean edges?"),
        ({"zzzzzz": 1}, "zzzzzz: unknown key."),
        ({"name": 3}, "name: must be a text."),
        ({"components": []}, "components: must be an object."),
        ({"edges": {}}, "edges: must be a list."),
        ({"components": {"": ONE}}, 'components[""]: a component needs a name.'),
        ({"components": {"a b": 3}}, 'components["a b"]: must be an object.'),
        ({"components": {"a": {}}}, "components.a.type: the component has no type."),
        ({"components": {"a": {"type": ""}}}, "components.a.type: the component has no type."),
        ({"components": {"a": {"typ": "T"}}}, "components.a.typ: unknown key; did you mean type?"),
        (
            {"components": {"a": {**ONE, "setings": {}}}},
            "components.a.setings: unknown key; did you mean settings?",
        ),
        ({"components": {"a": {**ONE, "frozen": "yes"}}}, "components.a.frozen: must be true or false."),
        ({"components": {"a": {**ONE, "position": [1]}}}, "components.a.position: must be two numbers, x and y."),
        (
            {"components": {"a": {**ONE, "position": [1, True]}}},
            "components.a.position: must be two numbers, x and y.",
        ),
        ({"components": {"a": {**ONE, "outputs": [{}]}}}, "components.a.outputs[0].name: the output has no name."),
        ({"components": {"a": {**ONE, "outputs": [3]}}}, "components.a.outputs[0]: must be an object."),
        ({"components": {"a": {**ONE, "fields": {"f": 1}}}}, "components.a.fields.f: must be a text."),
        ({"components": {"a": {**ONE, "protected": [1]}}}, "components.a.protected[0]: must be a text."),
        (
            {"components": {"a": {**ONE, "settings": {"k": {"$variable": 1}}}}},
            "components.a.settings.k.$variable: must be the name of a variable.",
        ),
        ({"edges": [3]}, "edges[0]: must be an object."),
        ({"edges": [{"source": "in"}]}, "edges[0].target: the edge names no component."),
        ({"edges": [{"source": "in", "to": "out"}]}, "edges[0].to: unknown key."),
    ],
)
def test_errors_name_the_place(change, message):
    with pytest.raises(FlowInvalid) as caught:
        read(native(**change))
    assert caught.value.message == message


@pytest.mark.parametrize("text", ["", "in", "in.message", "in -> out -> in", "in - > out", "x" * 5000 + "->y"])
def test_what_is_no_edge(text):
    with pytest.raises(FlowInvalid, match=r'edges\[0\]: an edge is written "component.output -> component.input"'):
        read(native(edges=[text]))


def test_a_dot_that_can_be_read_in_two_ways():
    components = {"a": ONE, "a.b": ONE, "c": ONE}
    with pytest.raises(FlowInvalid, match=r"edges\[0\]: 'a.b' is ambiguous"):
        read(native(components=components, edges=["a.b -> c"]))
    flow = read(native(components=components, edges=[{"source": "a.b", "target": "c"}]))
    assert flow.edges[0].source == "a.b"


def test_broken_json_has_line_and_column():
    text = json.dumps(native(), indent=2).replace('"edges"', "edges")
    line = 1 + text[: text.index("edges")].count("\n")
    with pytest.raises(FlowInvalid, match=rf"Line {line}, column 3 is not valid JSON: Expecting property name"):
        read_flows(text)
