"""What a Langflow export says, quirk by quirk."""

import pytest

from flowrunner import FlowInvalid
from flowrunner.errors import EdgeInvalid
from flowrunner.flows.findings import errors_of, refuse_unrunnable
from flowrunner.flows.model import Edge, Port
from flowrunner.flows.reading import read_flows
from tests.flows.exports import echo, edge, export, field, node


def read(raw):
    (flow,) = read_flows(raw)
    return flow


def vertex(template=None, **more):
    return read(export([node("X-1", "X", template, **more)])).vertices[0]


def test_an_echo():
    flow = read(echo(description="Echoes", endpoint_name="echo-1"))
    assert [(v.id, v.type, v.display_name) for v in flow.vertices] == [
        ("ChatInput-a", "ChatInput", "The ChatInput"),
        ("ChatOutput-b", "ChatOutput", "The ChatOutput"),
    ]
    assert flow.edges == (
        Edge("ChatInput-a", "message", "ChatOutput-b", "input_value", ("Message",), ("Message", "str")),
    )
    assert (flow.name, flow.description, flow.endpoint_name) == ("Test flow", "Echoes", "echo-1")
    assert flow.vertices[0].settings == {"input_value": "hi"}
    assert flow.vertices[0].listed_outputs == (Port("message", ("Message",)),)
    assert flow.vertices[0].position == (1, 2)
    assert flow.findings == ()


def test_code_is_never_kept():
    template = {"code": field("import os", "code"), "function_code": field("x", "code"), "a": field("b")}
    found = vertex(template)
    assert found.settings == {"a": "b"}
    assert found.protected == {"code", "function_code"}
    assert "import os" not in repr(found)


def test_code_is_never_kept_whatever_its_type():
    assert vertex({"code": field("import os", "str")}).settings == {}


def test_fields_that_are_not_shown_are_hidden():
    found = vertex({"a": field("1"), "b": {**field("2"), "show": False}, "c": {"value": "3", "type": "str"}})
    assert found.settings == {"a": "1"}
    assert found.hidden == {"b": "2", "c": "3"}


def test_a_template_without_show_shows_everything():
    assert vertex({"a": {"value": "1", "type": "str"}, "b": {"value": 2}}).settings == {"a": "1", "b": 2}


def test_what_is_no_field_is_left_out():
    template = {"_type": "Component", "is_refresh": False, "_frontend_node_flow_id": {"value": "x"}, "a": field("1")}
    assert vertex(template).settings == {"a": "1"}


def test_null_is_not_set():
    assert vertex({"a": field(None)}).settings == {}


def test_variables():
    template = {"key": field("OPENAI_API_KEY", load_from_db=True), "empty": field("", load_from_db=True)}
    found = vertex(template)
    assert found.variables == {"key"}
    assert found.settings == {"key": "OPENAI_API_KEY", "empty": ""}


def test_field_types_are_kept():
    assert vertex({"a": field(1, "int"), "b": field("", "prompt")}).field_types == {"a": "int", "b": "prompt"}


def test_files_are_known_by_their_path():
    template = {
        "path": field("report.pdf", "file", file_path="u1/report.pdf"),
        "paths": field("", "file", file_path=["u1/a.txt"]),
        "none": field("", "file", file_path=""),
    }
    assert vertex(template).settings == {"path": "u1/report.pdf", "paths": ["u1/a.txt"], "none": ""}


def test_flags_of_a_node():
    found = vertex(frozen=True, edited=True, tool_mode=True, is_input=True, is_output=False)
    assert (found.frozen, found.edited, found.tool_mode) == (True, True, True)
    assert (found.is_input, found.is_output) == (True, False)


def test_a_tool_has_the_name_that_its_author_gave():
    rows = [{"name": "off", "status": False}, {"name": "search", "description": "Searches."}]
    found = vertex({"tools_metadata": field(rows, "tools")}, tool_mode=True, description="A component.")
    assert (found.tool_name, found.description) == ("search", "Searches.")


def test_outputs_that_are_all_live():
    raw = export([node("Loop-1", "Loop")])
    raw["data"]["nodes"][0]["data"]["node"]["outputs"] = [
        {"name": "item", "types": ["Data"], "group_outputs": True},
        "?",
    ]
    raw["data"]["nodes"][0]["data"]["selected_output"] = "item"
    assert read(raw).vertices[0].listed_outputs == (Port("item", ("Data",), True),)
    assert read(raw).vertices[0].selected_output == "item"


def test_notes_are_dropped():
    note = {"id": "note-1", "type": "noteNode", "data": {"node": {"description": "Look!"}}}
    older = {"id": "note-2", "type": "genericNode", "data": {"type": "note", "node": {}}}
    raw = echo()
    raw["data"]["nodes"] += [note, older]
    raw["data"]["edges"].append(edge("note-1", "ChatOutput-b"))
    flow = read(raw)
    assert [v.id for v in flow.vertices] == ["ChatInput-a", "ChatOutput-b"]
    assert len(flow.edges) == 1
    assert flow.findings == ()


def test_the_type_of_a_node_that_langflow_did_not_write():
    raw = export([{"id": "1", "type": "ChatInput", "data": {"node": {"template": {}}}}])
    assert read(raw).vertices[0].type == "ChatInput"
    bare = export([{"id": "1", "type": "ChatInput"}])
    assert read(bare).vertices[0].type == "ChatInput"


def test_a_type_with_a_bundle_is_kept_and_found(registry):
    flow = read(export([node("X-1", "ext:tests:Both@official")]))
    assert flow.vertices[0].type == "ext:tests:Both@official"
    assert registry.component(flow.vertices[0].type) is registry.component("Both")


def test_a_number_as_id():
    raw = export([{"id": 7, "data": {"type": "X"}}, {"id": "8", "data": {"type": "X"}}], [{"source": 7, "target": "8"}])
    assert [v.id for v in read(raw).vertices] == ["7", "8"]
    assert len(read(raw).edges) == 1


def test_the_id_may_stand_in_data_only():
    assert read(export([{"data": {"id": "x", "type": "X"}}])).vertices[0].id == "x"


def test_a_loop_edge_is_marked():
    raw = export(
        [node("Loop-1", "LoopComponent", outputs=("item", "done")), node("X-1", "X")],
        [edge("Loop-1", "X-1", "item"), edge("X-1", "Loop-1")],
    )
    handle = {"dataType": "LoopComponent", "id": "Loop-1", "name": "item", "output_types": ["Data", "Message"]}
    raw["data"]["edges"][1]["data"]["targetHandle"] = handle
    assert [e.feedback for e in read(raw).edges] == [False, True]
    assert read(raw).edges[1].input == "item"


def test_the_same_edge_twice_counts_once():
    raw = echo()
    raw["data"]["edges"] *= 3
    assert len(read(raw).edges) == 1


@pytest.mark.parametrize(("source", "target"), [("ChatInput-a", "gone"), ("gone", "ChatOutput-b")])
def test_an_edge_to_nothing_is_an_error_that_loads(source, target):
    raw = echo()
    raw["data"]["edges"].append(edge(source, target))
    flow = read(raw)
    assert [(f.code, f.vertex, f.level) for f in flow.findings] == [("missing-vertex", "gone", "error")]
    with pytest.raises(FlowInvalid, match="Vertex gone not found") as caught:
        refuse_unrunnable(flow)
    assert (caught.value.status, type(caught.value)) == (422, FlowInvalid)


def test_types_that_do_not_meet():
    raw = echo()
    raw["data"]["edges"][0] = edge("ChatInput-a", "ChatOutput-b", given=["Embeddings"], wanted=["Data"], kind="Data")
    flow = read(raw)
    with pytest.raises(
        EdgeInvalid, match="Edge between The ChatInput and The ChatOutput has invalid handles"
    ) as caught:
        refuse_unrunnable(flow)
    assert caught.value.status == 500


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (["JSON"], ["Data"]),
        (["Record"], ["JSON"]),
        (["DataFrame"], ["Table"]),
        (["Text"], ["Message"]),
        (["Message"], ["str"]),
        ([], ["Data"]),
        (["Data"], ["other"]),
        (["ChatOpenAI", "BaseLLM"], ["LanguageModel"]),
    ],
)
def test_types_that_have_other_names_over_time(given, wanted):
    raw = echo()
    raw["data"]["edges"][0] = edge("ChatInput-a", "ChatOutput-b", given=given, wanted=wanted, kind=wanted[0])
    assert read(raw).findings == ()


def test_what_cannot_run_has_a_content_hash_of_its_own():
    good, bad = echo(), echo()
    bad["data"]["edges"].append(edge("ChatInput-a", "gone"))
    assert read(good).edges == read(bad).edges
    assert read(good).content_hash != read(bad).content_hash


def test_what_is_secret_counts_in_the_content_hash():
    """Flows of one hash share a plan, and with it what of their runs is kept in clear."""
    raws = [export([node("a", "ChatInput", {"phrase": field("x", password=secret)})]) for secret in (False, True)]
    assert len({read(raw).content_hash for raw in raws}) == 2


def test_the_content_hash_ignores_decoration():
    raw = echo(id="a5b9ab3c-2d9a-4f0e-8e3a-000000000001", last_tested_version="1.13.0")
    raw["data"]["nodes"][0]["position"] = {"x": 500, "y": 1}
    raw["data"]["viewport"] = {"zoom": 2}
    assert read(raw).content_hash == read(echo()).content_hash


def test_a_saved_component_loads_and_is_refused():
    flow = read(echo(is_component=True))
    assert flow.is_component
    assert [f.code for f in errors_of(flow)] == ["saved-component"]


@pytest.mark.parametrize(
    ("raw", "where"),
    [
        (export([{"data": {"type": "X"}}]), r"data\.nodes\[0\]\.id: the node has no id"),
        (export([{"id": "x", "type": "genericNode", "data": {}}]), r"data\.nodes\[0\]\.data\.type"),
        (export([node("a", "X"), node("a", "X")]), r"data\.nodes\[1\]: duplicate id 'a'"),
        (export(["x"]), r"data\.nodes\[0\]: must be an object"),
        (export([node("a", "X")], [{"source": "a"}]), r"data\.edges\[0\]\.target"),
        ({"data": {"nodes": {}}}, r"data\.nodes: must be a list"),
        ({"data": []}, "data: must be an object with nodes and edges"),
        ({"data": {"node": []}}, "data: has neither nodes nor edges"),
        ({"nodes": [3]}, r"nodes\[0\]: must be an object"),
    ],
)
def test_errors_name_the_place(raw, where):
    with pytest.raises(FlowInvalid, match=where):
        read(raw)


@pytest.mark.parametrize(
    "position", [None, {}, {"x": "1", "y": 2}, {"x": True, "y": 1}, {"x": 10**400, "y": 1}, [1, 2]]
)
def test_a_position_that_is_none_is_left_out(position):
    raw = echo()
    raw["data"]["nodes"][0]["position"] = position
    assert read(raw).vertices[0].position is None
