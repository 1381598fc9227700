"""What ``check`` finds out about a flow and the components that are there."""

import json

import pytest
from click.testing import CliRunner

from flowrunner.cli.check import check_command
from flowrunner.engine.plan import make_plan
from flowrunner.errors import EdgeInvalid, FlowInvalid
from flowrunner.flows.check import check_flow
from flowrunner.flows.findings import FINDINGS
from flowrunner.flows.reading import read_flows
from flowrunner.settings import Settings
from tests.flows.exports import echo, edge, export, field, native, node


def read(raw):
    (flow,) = read_flows(raw)
    return flow


def check(raw, registry):
    found = check_flow(read(raw), registry)
    assert {finding.code for finding in found} <= FINDINGS.keys()
    return found


def codes(raw, registry):
    return [(f.level, f.code, f.vertex) for f in check(raw, registry)]


def with_both(edges, **settings):
    components = {"in": {"type": "ChatInput"}, "both": {"type": "Both", **settings}, "out": {"type": "ChatOutput"}}
    return native(components=components, edges=edges)


@pytest.mark.parametrize("raw", [echo(), native()])
def test_a_flow_without_findings(registry, raw):
    assert check(raw, registry) == []


def test_an_unknown_type_says_what_a_plugin_would_need(registry):
    nodes = [
        node("ChatInput-a", "ChatInput"),
        node("N-1", "Nosuch", {"q": field("", "str"), "limit": field(3, "int")}, outputs=("reply", "rows")),
        node("ChatOutput-b", "ChatOutput"),
    ]
    edges = [edge("ChatInput-a", "N-1", field_name="q"), edge("N-1", "ChatOutput-b", "reply")]
    (finding,) = check(export(nodes, edges), registry)
    assert (finding.level, finding.code, finding.vertex, finding.type) == (
        "error",
        "unknown-component",
        "N-1",
        "Nosuch",
    )
    assert finding.message == "No plugin offers the component type Nosuch of The Nosuch (N-1)."
    assert finding.to_json()["needs"] == {
        "fields": [{"name": "q", "type": "str"}, {"name": "limit", "type": "int"}],
        "inputs": [{"name": "q", "types": ["Message", "str"]}],
        "outputs": [{"name": "reply", "types": ["Message"]}, {"name": "rows", "types": ["Message"]}],
    }


def test_an_unknown_type_beside_the_way_is_a_warning(registry):
    raw = native()
    raw["components"]["extra"] = {"type": "Nosuch"}
    raw["edges"].append("in.message -> extra.x")
    assert codes(raw, registry) == [("warning", "unknown-component", "extra")]
    make_plan(read(raw), registry)


def test_an_output_that_is_not_there(registry):
    assert codes(native(edges=["in.nosuch -> out.input_value"]), registry)[0] == ("error", "unknown-output", "in")


def test_an_output_by_its_older_name(registry):
    raw = with_both(["in -> out", "both.record -> out.sender"])
    assert ("error", "unknown-output", "both") not in codes(raw, registry)


def test_an_input_that_is_not_there(registry):
    raw = native(edges=["in.message -> out.input_value", "in.message -> out.nosuch"])
    assert codes(raw, registry) == [("warning", "unknown-input", "out")]


def test_every_component_takes_a_session_id(registry):
    raw = native(edges=["in.message -> out.input_value", "in.message -> out.session_id"])
    assert codes(raw, registry) == []


def test_ports_that_do_not_fit(registry):
    raw = with_both(["in.message -> both.data", "both.row -> out.input_value"])
    found = check(raw, registry)
    assert [(f.level, f.code) for f in found] == [("error", "edge-invalid")]
    assert found[0].message == "Edge between ChatInput and Both has invalid handles: data does not take Message."
    with pytest.raises(EdgeInvalid):
        make_plan(read(raw), registry)


def test_the_only_output_that_fits_is_meant(registry):
    raw = with_both(["in.message -> out.input_value", "both -> both.many"])
    assert ("error", "unclear-port", "both") not in codes(raw, registry)


def test_an_output_left_out_where_there_are_several(registry):
    raw = with_both(["both -> out.input_value"])
    assert ("error", "unclear-port", "both") in codes(raw, registry)
    with pytest.raises(EdgeInvalid, match="does not name an output, and there are several"):
        make_plan(read(raw), registry)
    chosen = with_both(["both -> out.input_value"], selected_output="row")
    assert ("error", "unclear-port", "both") not in codes(chosen, registry)


def test_several_edges_into_one_input(registry):
    raw = native(edges=["in.message -> out.input_value", "more.message -> out.input_value"])
    raw["components"]["more"] = {"type": "ChatInput"}
    assert codes(raw, registry) == [("warning", "several-edges", "out")]


def test_several_edges_into_an_input_for_many(registry):
    raw = with_both(["in -> out", "both.row -> b2.many", "b3.row -> b2.many"])
    raw["components"] |= {"b2": {"type": "Both"}, "b3": {"type": "Both"}}
    assert "several-edges" not in [code for _, code, _ in codes(raw, registry)]


def test_branches_of_one_component_may_meet_again(registry):
    raw = with_both(["in -> out", "both.row -> b2.data", "both.record -> b2.data"])
    raw["components"]["b2"] = {"type": "Both"}
    assert "several-edges" not in [code for _, code, _ in codes(raw, registry)]


def test_a_circle(registry):
    raw = with_both(["in -> out", "both.row -> b2.data", "b2.row -> both.data"])
    raw["components"]["b2"] = {"type": "Both"}
    found = [f for f in check(raw, registry) if f.code == "cycle"]
    assert [f.message for f in found] == ["These components form a cycle that can never run: Both (both), Both (b2)."]
    with pytest.raises(FlowInvalid):
        make_plan(read(raw), registry)


def test_islands_and_outputs_without_input(registry):
    raw = native()
    raw["components"] |= {"alone": {"type": "Blank"}, "out2": {"type": "ChatOutput"}}
    assert codes(raw, registry) == [("warning", "island", "alone"), ("warning", "no-input", "out2")]


def test_an_edited_component_is_a_warning(registry):
    raw = echo()
    raw["data"]["nodes"][0]["data"]["node"]["edited"] = True
    assert codes(raw, registry) == [("warning", "edited-component", "ChatInput-a")]


def test_a_setting_that_cannot_be_used_is_found_by_making_the_plan(registry):
    raw = with_both(["in -> out"], settings={"limit": "many"})
    found = check(raw, registry)
    assert [(f.level, f.code) for f in found][0] == ("error", "refused")
    assert "limit" in found[0].message


def test_an_empty_flow(registry):
    assert codes({"name": "x", "data": {"nodes": [], "edges": []}}, registry) == [("warning", "empty-flow", None)]


def test_errors_come_first(registry):
    raw = native(id="x", edges=["in.message -> out.input_value", "in.message -> gone.x"])
    assert [level for level, _, _ in codes(raw, registry)] == ["error", "warning"]


def test_an_output_that_only_the_file_knows(registry):
    raw = echo()
    raw["data"]["nodes"][0]["data"]["node"]["outputs"] = [{"name": "reply", "types": ["str"]}]
    raw["data"]["edges"][0]["data"]["sourceHandle"]["name"] = "reply"
    assert codes(raw, registry) == []
    make_plan(read(raw), registry)


@pytest.mark.parametrize(
    ("kind", "chosen", "said"),
    [
        ("Pinecone", {}, "uses local, the store selected by FLOWRUNNER_VECTOR_STORE"),
        ("ChromaVectorStoreComponent", {}, "uses local, the store selected by FLOWRUNNER_VECTOR_STORE"),
        ("pgvector", {}, "uses local, the store selected by FLOWRUNNER_VECTOR_STORE"),
        ("AstraDBToolComponent", {"vector_store": "qdrant"}, "uses qdrant"),
        ("Milvus", {"vector_store": "qdrant"}, "uses qdrant"),
        ("RedisChatMemory", {"memory": "sqlite"}, "uses sqlite, the store selected by FLOWRUNNER_MEMORY"),
        ("PGVectorStoreComponent", {"vector_store": "pgvector"}, None),
        ("Qdrant", {"vector_store": "qdrant"}, None),
        ("LocalDB", {}, None),
        ("Memory", {}, None),
        ("NobodysStore", {}, None),
    ],
    ids=lambda value: value if isinstance(value, str) and " " not in value else "",
)
def test_a_service_in_whose_place_a_store_answers_is_noted(plugin_registry, kind, chosen, said):
    settings = Settings({"VECTOR_STORE": "local", "MEMORY": "sqlite"}, {}, "FLOWRUNNER_").with_values(**chosen)
    flow = read(native(components={"in": {"type": "ChatInput"}, "store": {"type": kind}}, edges=["in -> store"]))
    notes = [f for f in check_flow(flow, plugin_registry, settings) if f.level == "note"]
    assert [(f.code, f.vertex, f.type) for f in notes] == ([("stands-in", "store", kind)] if said else [])
    assert said is None or said in notes[0].message
    assert [f for f in check_flow(flow, plugin_registry) if f.level == "note"] == []


def test_the_command_says_what_stands_in_and_the_flow_can_run(tmp_path, monkeypatch):
    components = {"in": {"type": "ChatInput"}, "store": {"type": "Chroma"}}
    (tmp_path / "flow.json").write_text(json.dumps(native(components=components, edges=["in -> store.search_query"])))
    monkeypatch.setenv("FLOWRUNNER_DATA_DIR", str(tmp_path))
    shown = CliRunner().invoke(check_command, [str(tmp_path / "flow.json")])
    assert shown.exit_code == 0, shown.output
    assert "can run." in shown.output
    assert "  note stands-in: Chroma (store) uses local" in shown.output
