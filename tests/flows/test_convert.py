"""Writing flows in the native form."""

import json

import pytest

from flowrunner.flows.check import check_flow
from flowrunner.flows.convert import convert_flow
from flowrunner.flows.layout import layout
from flowrunner.flows.reading import read_flows
from tests.flows.exports import echo, edge, export, field, native, node, target_handle


def read(raw):
    (flow,) = read_flows(raw)
    return flow


def everything():
    """Return an export with every property that a vertex and an edge can have."""
    key = field("OPENAI_API_KEY", load_from_db=True)
    template = {
        "code": field("x", "code"),
        "input_value": field("hi"),
        "sender": field("User"),
        "key": key,
        "odd": field({"$variable": "no variable"}, "dict"),
        "secret": {**field("h"), "show": False},
        "phrase": field("p", password=True),
        "n": field(3, "int"),
    }
    nodes = [
        node("a->b", "ChatInput", template, frozen=True, edited=True, is_input=True),
        node("tool.1", "Nosuch", {"q": field("")}, ("x", "y"), tool_mode=True, description="Finds."),
        node("Loop", "Loop"),
        node("out", "ChatOutput", {"sender": field("Bot")}),
    ]
    nodes[1]["data"]["selected_output"] = "y"
    edges = [edge("a->b", "out"), edge("tool.1", "out", "x", " padded "), edge("out", "Loop")]
    edges[2]["data"]["targetHandle"] = {"dataType": "Loop", "id": "Loop", "name": "item", "output_types": ["Message"]}
    return export(nodes, edges, description="All of it", endpoint_name="all", id="0b8f4b5e-6a58-4c2e-9f0a-3d6f0f4c9a11")


@pytest.mark.parametrize("raw", [echo(), everything(), native(), export([])])
@pytest.mark.parametrize("known", [True, False])
def test_the_exact_form_reads_back_as_the_same_flow(raw, known, registry):
    flow = read(raw)
    made = convert_flow(flow, registry if known else None, exact=True, positions=True)
    assert made.notes == ()
    again = read(made.text)
    assert again.content_hash == flow.content_hash
    assert (again.id, again.name, again.endpoint_name, again.description) == (
        flow.id,
        flow.name,
        flow.endpoint_name,
        flow.description,
    )
    assert again.edges == flow.edges
    assert [(v.position, v.edited, v.tool_name, v.parent) for v in again.vertices] == [
        (v.position, v.edited, v.tool_name, v.parent) for v in flow.vertices
    ]


def test_what_cannot_run_has_no_place_in_the_native_form(registry):
    made = convert_flow(read(echo(is_component=True)), registry, exact=True)
    assert made.notes == (
        "The file is a saved component, not a flow, so it cannot run.",
        "The content hash of the result differs: the native form has no place for components that cannot run.",
    )


def test_the_short_form_leaves_out_what_the_components_say(registry):
    template = {"code": field("x", "code"), "input_value": field(""), "sender": field("User"), "session_id": field("")}
    nodes = [node("ChatInput-a", "ChatInput", template, display_name="Chat Input"), node("ChatOutput-b", "ChatOutput")]
    nodes[1]["data"]["node"]["template"] = {"sender": field("Bot"), "session_id": field("s"), "gone": field("1")}
    made = convert_flow(read(export(nodes, [edge("ChatInput-a", "ChatOutput-b")])), registry)
    assert made.document["components"] == {
        "ChatInput-a": {"type": "ChatInput"},
        "ChatOutput-b": {
            "type": "ChatOutput",
            "display_name": "The ChatOutput",
            "settings": {"sender": "Bot", "session_id": "s"},
        },
    }
    assert made.document["edges"] == ["ChatInput-a.message -> ChatOutput-b.input_value"]
    assert made.notes == ("ChatOutput-b: ChatOutput has no input gone; left out.",)


def test_no_form_loses_what_is_secret(registry):
    nodes = [node(f"{kind}-1", kind, {"phrase": field("p", password=True)}) for kind in ("ChatInput", "Nosuch")]
    flow = read(export(nodes))
    for exact in (False, True):
        again = read(convert_flow(flow, registry, exact=exact).text)
        assert [vertex.secrets for vertex in again.vertices] == [{"phrase"}, {"phrase"}]


def test_the_short_form_keeps_dynamic_fields_even_if_empty(registry):
    raw = native(components={"b": {"type": "Blank", "settings": {"words": "one two", "one": ""}}}, edges=[])
    made = convert_flow(read(raw), registry)
    assert made.document["components"]["b"]["settings"] == {"words": "one two", "one": ""}


def test_the_short_form_keeps_what_a_plugin_for_an_unknown_type_would_need(registry):
    flow = read(everything())
    again = read(convert_flow(flow, registry).text)
    needs = [[f.needs for f in check_flow(one, registry) if f.vertex == "tool.1"] for one in (flow, again)]
    assert needs[0][0]["fields"] == needs[1][0]["fields"]
    assert [port["name"] for port in needs[0][0]["outputs"]] == [port["name"] for port in needs[1][0]["outputs"]]


def test_the_short_form_names_outputs_that_the_file_left_to_types(registry):
    raw = export([node("B-1", "Both", outputs=()), node("ChatOutput-b", "ChatOutput")], [edge("B-1", "ChatOutput-b")])
    handle = {"baseClasses": ["Table"], "dataType": "Both", "id": "B-1"}
    target = target_handle("ChatOutput-b", types=["DataFrame"], kind="other")
    raw["data"]["edges"][0]["data"] = {"sourceHandle": handle, "targetHandle": target}
    made = convert_flow(read(raw), registry)
    assert made.document["edges"][0]["output"] == "table"
    assert [f.code for f in check_flow(read(made.text), registry) if f.level == "error"] == []


def test_the_short_form_names_outputs_that_the_author_selected(registry):
    nodes = [node("B-1", "Both", selected_output="row"), node("ChatOutput-b", "ChatOutput")]
    raw = export(nodes)
    raw["data"]["edges"] = [{"source": "B-1", "target": "ChatOutput-b", "targetHandle": "input_value"}]
    assert [f.code for f in check_flow(read(raw), registry) if f.level == "error"] == []
    made = convert_flow(read(raw), registry)
    assert made.document["edges"] == ["B-1.row -> ChatOutput-b.input_value"]
    assert [f.code for f in check_flow(read(made.text), registry) if f.level == "error"] == []


def test_positions_are_kept_on_demand(registry):
    assert "position" not in convert_flow(read(echo()), registry).text
    made = convert_flow(read(echo()), registry, positions=True)
    assert made.document["components"]["ChatInput-a"]["position"] == [1, 2]


def test_the_layout_puts_what_fits_on_one_line():
    value = {"a": [], "b": {"c": ["x", 1, None]}, "d": ["y" * 90, "z" * 20], "ä": "ö"}
    text = layout(value)
    assert json.loads(text) == value
    assert text.splitlines() == [
        "{",
        '  "a": [],',
        '  "b": {"c": ["x", 1, null]},',
        '  "d": [',
        '    "' + "y" * 90 + '",',
        '    "' + "z" * 20 + '"',
        "  ],",
        '  "ä": "ö"',
        "}",
    ]


def test_the_layout_of_deep_values_takes_linear_time():
    deep = "x" * 200
    for _ in range(190):
        deep = [deep]
    assert json.loads(layout(deep)) == deep
