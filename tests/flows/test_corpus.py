"""Real flows: all of them load, or end in findings that have a name."""

import json

import pytest

from flowrunner.flows.check import check_flow
from flowrunner.flows.convert import convert_flow
from flowrunner.flows.findings import FINDINGS, errors_of
from flowrunner.flows.reading import read_flows
from tests.flows.conftest import SHARED


@pytest.fixture(scope="module")
def flows(corpus):
    """All flows of the corpus, with the names of their files."""
    return [(name, flow) for name, data in corpus.items() for flow in read_flows(data, name_hint=name)]


def test_every_flow_loads(flows):
    assert len(flows) == 326
    for name, flow in flows:
        assert flow.vertices, name
        assert {finding.code for finding in errors_of(flow)} <= {"saved-component"}, name


def test_every_vertex_and_edge_of_the_index_is_there(flows):
    index = {}
    for line in (SHARED / "corpus" / "index.jsonl").read_text("utf-8").splitlines():
        entry = json.loads(line)
        index[entry["file"]] = entry
    for name, flow in flows:
        entry = index[name.rpartition("/")[2]]
        if not entry["groups"]:
            assert sorted(v.type for v in flow.vertices) == sorted(entry["types"]), name
            assert len(flow.vertices) == entry["nodes"], name


def test_no_group_and_no_note_is_left(flows):
    for name, flow in flows:
        assert not {v.type for v in flow.vertices} & {"GroupNode", "note", "noteNode", "undefined"}, name


def test_no_code_is_kept(flows):
    for name, flow in flows:
        for vertex in flow.vertices:
            assert "code" not in {*vertex.settings, *vertex.hidden}, name
            assert "code" not in vertex.field_types.values(), name


def test_loop_edges_are_feedback(flows):
    loops = [edge for _, flow in flows for edge in flow.edges if edge.feedback]
    assert len(loops) == 22
    assert {edge.input for edge in loops} == {"item"}


def test_every_finding_has_a_name(flows, plugin_registry):
    for name, flow in flows:
        for finding in check_flow(flow, plugin_registry):
            assert finding.code in FINDINGS, name
            assert finding.message, name


def test_every_flow_reads_back_from_the_native_form(flows, plugin_registry):
    for name, flow in flows:
        exact = convert_flow(flow, plugin_registry, exact=True, positions=True)
        (again,) = read_flows(exact.text)
        assert again.content_hash == flow.content_hash or errors_of(flow), name
        assert again.edges == flow.edges, name
        (short,) = read_flows(convert_flow(flow, plugin_registry).text)
        assert [(v.id, v.type) for v in short.vertices] == [(v.id, v.type) for v in flow.vertices], name
        before = {(f.code, f.vertex) for f in check_flow(flow, plugin_registry) if f.level == "error"}
        after = {(f.code, f.vertex) for f in check_flow(short, plugin_registry) if f.level == "error"}
        assert after <= before, name


def test_wrappers_give_all_their_flows(corpus):
    counts = {path.name: len(read_flows(path.read_bytes())) for path in (SHARED / "corpus" / "wrappers").glob("*.json")}
    assert sorted(counts.values()) == [4, 15]


def test_the_flows_of_the_contract_load(contract_flows):
    for name, data in contract_flows.items():
        (flow,) = read_flows(data)
        assert {f.code for f in flow.findings} == ({"missing-vertex"} if name == "dangling" else set()), name
