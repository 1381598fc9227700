"""Groups are taken apart into one level."""

import pytest

from flowrunner import FlowInvalid
from flowrunner.flows.reading import read_flows
from tests.flows.exports import edge, export, field, node


def read(raw):
    (flow,) = read_flows(raw)
    return flow


def group(group_id, nodes, edges=(), face=(), outputs=(), kind="GroupNode"):
    """Return a group node.

    :param face: (inner id, inner field, value) of each field on its face.
    :param outputs: (inner id, inner output) of each output on its face.
    """
    template = {f"{name}_{inner}": field(value, proxy={"id": inner, "field": name}) for inner, name, value in face}
    made = node(group_id, kind, template)
    inner_node = made["data"]["node"]
    inner_node["outputs"] = [
        {"name": f"{inner}_{name}", "types": ["Message"], "proxy": {"id": inner, "name": name}}
        for inner, name in outputs
    ]
    inner_node["flow"] = {"data": {"nodes": list(nodes), "edges": list(edges)}, "name": "inner"}
    return made


def pair(value="inside"):
    nodes = [node("A-1", "A", {"text": field(value)}), node("B-1", "B", outputs=("result",))]
    return nodes, [edge("A-1", "B-1")]


def test_a_group_becomes_its_inner_vertices():
    nodes, edges = pair()
    flow = read(
        export(
            [
                node("In-1", "In"),
                group("G-1", nodes, edges, [("A-1", "text", "face")], [("B-1", "result")]),
                node("Out-1", "Out"),
            ],
            [edge("In-1", "G-1", field_name="text_A-1"), edge("G-1", "Out-1", "B-1_result")],
        )
    )
    assert {(v.id, v.parent) for v in flow.vertices} == {
        ("In-1", None),
        ("Out-1", None),
        ("A-1", "G-1"),
        ("B-1", "G-1"),
    }
    assert {(e.source, e.output, e.target, e.input) for e in flow.edges} == {
        ("A-1", "message", "B-1", "input_value"),
        ("In-1", "message", "A-1", "text"),
        ("B-1", "result", "Out-1", "input_value"),
    }


def test_values_on_the_face_replace_those_inside():
    nodes, edges = pair()
    flow = read(export([group("G-1", nodes, edges, [("A-1", "text", "face")])]))
    assert flow.vertex("A-1").settings == {"text": "face"}


def test_an_inner_vertex_keeps_what_the_face_does_not_show():
    nodes, edges = pair()
    assert read(export([group("G-1", nodes, edges)])).vertex("A-1").settings == {"text": "inside"}


def test_code_on_the_face_is_not_kept():
    nodes, edges = pair()
    made = group("G-1", nodes, edges)
    made["data"]["node"]["template"]["code_A-1"] = field("evil", "code", proxy={"id": "A-1", "field": "code"})
    found = read(export([made])).vertex("A-1")
    assert found.protected == {"code"}
    assert "evil" not in repr(found)


def test_a_handle_may_carry_the_proxy_itself():
    nodes, edges = pair()
    outer = edge("In-1", "G-1", field_name="anything")
    outer["data"]["targetHandle"]["proxy"] = {"id": "A-1", "field": "text"}
    flow = read(export([node("In-1", "In"), group("G-1", nodes, edges)], [outer]))
    assert ("A-1", "text") in {(e.target, e.input) for e in flow.edges}


def test_a_group_of_the_alpha_gives_what_its_last_vertex_gives():
    nodes, edges = pair()
    outer = edge("G-1", "Out-1")
    outer["data"]["sourceHandle"] = {"baseClasses": ["Message"], "dataType": "B", "id": "G-1"}
    flow = read(export([group("G-1", nodes, edges), node("Out-1", "Out")], [outer]))
    assert ("B-1", None, "Out-1") in {(e.source, e.output, e.target) for e in flow.edges}


def test_groups_in_groups():
    nodes, edges = pair()
    inner = group("G-2", nodes, edges, [("A-1", "text", "inner face")], [("B-1", "result")])
    outer = group("G-1", [inner], (), [("G-2", "text_A-1", "outer face")], [("G-2", "B-1_result")])
    flow = read(
        export(
            [node("In-1", "In"), outer, node("Out-1", "Out")],
            [edge("In-1", "G-1", field_name="text_A-1_G-2"), edge("G-1", "Out-1", "G-2_B-1_result")],
        )
    )
    assert flow.vertex("A-1").settings == {"text": "outer face"}
    assert ("In-1", "A-1", "text") in {(e.source, e.target, e.input) for e in flow.edges}
    assert ("B-1", "result", "Out-1") in {(e.source, e.output, e.target) for e in flow.edges}


def test_two_copies_of_a_group_stay_apart():
    nodes, edges = pair()
    flow = read(export([group("G-1", nodes, edges), group("G-2", nodes, edges)]))
    assert len({v.id for v in flow.vertices}) == 4
    for one in flow.edges:
        assert flow.vertex(one.source).parent == flow.vertex(one.target).parent


def test_an_edge_to_a_port_that_the_group_has_not_is_reported():
    nodes, edges = pair()
    flow = read(export([node("In-1", "In"), group("G-1", nodes, edges)], [edge("In-1", "G-1", field_name="nosuch")]))
    assert [f.code for f in flow.findings] == ["missing-vertex"]


def test_an_error_inside_names_its_place():
    with pytest.raises(FlowInvalid, match=r"data\.nodes\[0\]\.data\.node\.flow\.data\.nodes\[1\]"):
        read(export([group("G-1", [node("A-1", "A"), {"data": {}}])]))
