"""Files made to do harm get one clear sentence."""

import copy
import io
import json
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowrunner import FlowInvalid, FlowRunnerError
from flowrunner.flows.check import check_flow
from flowrunner.flows.convert import convert_flow
from flowrunner.flows.parsing import Limits
from flowrunner.flows.reading import read_flows, read_parts
from tests.flows.exports import echo, edge, export, field, native, node


def refused(data, message, **options):
    with pytest.raises(FlowInvalid, match=message):
        read_flows(data, **options)


@pytest.mark.parametrize("opening", ["[", '{"a":', '{"data":{"nodes":[{"data":{"node":{"flow":'])
@pytest.mark.parametrize("depth", [250, 100_000])
def test_a_depth_bomb(opening, depth):
    refused(opening * depth, "Line 1|nested more than 200 levels deep")
    closing = {"[": "]", '{"a":': "}"}.get(opening)
    if closing:
        refused(opening * depth + "1" + closing * depth, "nested more than 200 levels deep")


def test_a_depth_bomb_that_is_read_already():
    deep = {}
    for _ in range(5000):
        deep = {"data": deep}
    refused(deep, "nested more than 200 levels deep")


def test_groups_in_groups_up_to_the_depth_that_is_accepted():
    graph = {"nodes": [node("x", "X")], "edges": []}
    for number in range(30):
        outer = node(f"g{number}", "GroupNode")
        outer["data"]["node"]["flow"] = {"data": graph}
        graph = {"nodes": [outer], "edges": []}
    (flow,) = read_flows({"data": graph})
    assert [v.id for v in flow.vertices] == ["x"]


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_json_does_not_know(text):
    raw = json.dumps(native()).replace('"Native test"', text)
    refused(raw, "not a JSON number|too large")


def test_a_number_of_ten_thousand_digits():
    refused(
        json.dumps(native()).replace('"Native test"', "9" * 10_000),
        "The JSON cannot be read: a number has too many digits",
    )


def test_numbers_of_python_that_json_does_not_know():
    raw = native(components={"a": {"type": "T", "settings": {"x": [1.0, float("nan")]}}})
    refused(raw, r"components\.a\.settings\.x\[1\]: nan is not a JSON number")


def test_values_of_python_that_are_no_json():
    refused(native(edges=[("a", "b")]), r"edges\[0\]: tuple is not a JSON value")
    refused({**native(), 3: "x"}, "the top: the key 3 is not a string")


def test_a_key_that_stands_twice():
    text = '{"components": {"a": {"type": "T", "settings": {"x": 1, "y": 2, "x": 3}}}}'
    refused(text, r"components\.a\.settings: the key 'x' occurs twice")
    refused('{"data": {"nodes": [{"id": "a", "id": "b"}]}}', r"data\.nodes\[0\]: the key 'id' occurs twice")


def test_a_component_that_stands_twice():
    refused('{"components": {"a": {"type": "T"}, "a": {"type": "T"}}}', "components: the key 'a' occurs twice")


def test_bytes_that_are_not_utf8():
    refused(b'{"name": "\xff"}', "The file is not UTF-8: byte 10 cannot be read")


def test_half_a_character():
    refused('{"components": {"a": {"type": "T\\ud83d"}}}', r"components\.a\.type: the text contains a lone surrogate")
    refused('{"components": {"\\udc00": {"type": "T"}}}', "components: the text contains a lone surrogate")
    assert read_flows('{"components": {"a": {"type": "T\\ud83d\\ude00"}}}')[0].vertices[0].type == "T😀"


def test_too_many_bytes():
    refused(b" " * 60, "The file has 60 bytes; at most 50 are accepted", limits=Limits(max_bytes=50))
    refused(b" " * (50 * 1024 * 1024), "The file has 52428800 bytes")


@pytest.mark.parametrize(
    "make",
    [
        lambda n: export(node(str(i), "X") for i in range(n)),
        lambda n: native(components={str(i): {"type": "X"} for i in range(n)}, edges=[]),
    ],
)
def test_too_many_vertices(make):
    limits = Limits(max_vertices=10_000)
    assert len(read_flows(make(10_000), limits=limits)[0].vertices) == 10_000
    refused(make(10_001), "The flow has 10001 components; at most 10000 are accepted", limits=limits)


@pytest.mark.parametrize("raw", [native(edges=["in -> out"] * 11), export([node("a", "A")], [edge("a", "a")] * 11)])
def test_too_many_edges(raw):
    refused(raw, "The flow has 11 edges; at most 10 are accepted", limits=Limits(max_edges=10))


@pytest.mark.parametrize(
    ("raw", "where"),
    [
        (native(name="x" * 1001), "name"),
        (native(components={"x" * 1001: {"type": "T"}}), 'components["' + "x" * 80 + '…"]'),
        (native(components={"a": {"type": "x" * 1001}}), "components.a"),
        (export([node("x" * 1001, "T")]), "data.nodes[0]"),
        (export([node("a", "T", display_name="x" * 1001)]), "data.nodes[0]"),
    ],
)
def test_too_long_a_name(raw, where):
    with pytest.raises(FlowInvalid) as caught:
        read_flows(raw)
    assert caught.value.message == f"{where}: 1001 characters; at most 1000 are accepted."


def test_a_key_of_a_million_characters():
    with pytest.raises(FlowInvalid) as caught:
        read_flows(native(components={"a": {"x" * 1_000_000: 1}}))
    assert len(caught.value.message) < 200


def test_an_edge_of_many_dots_is_written_as_an_object(registry):
    dots = "." * 70
    refused(native(edges=[f"in.{dots} -> out.input_value"]), r"edges\[0\]: an edge is written")
    flow = read_flows(native(edges=[{"source": "in", "output": dots, "target": "out", "input": "x"}]))[0]
    assert read_flows(convert_flow(flow, exact=True).text)[0].edges == flow.edges


def test_a_chain_of_ten_thousand_and_a_star_are_checked(registry):
    limits = Limits(max_vertices=10_000)
    components = {str(i): {"type": "Blank"} for i in range(10_000)}
    chain = native(components=components, edges=[f"{i} -> {i + 1}" for i in range(9_999)])
    star = native(components=components, edges=[f"{i} -> 0" for i in range(1, 10_000)])
    for raw in (chain, star):
        (flow,) = read_flows(raw, limits=limits)
        assert not any(f.level == "error" for f in check_flow(flow, registry))


def test_ten_thousand_mistakes_get_ten_thousand_sentences():
    (flow,) = read_flows(native(edges=[f"in -> nosuch{i}" for i in range(10_000)]))
    assert len(flow.findings) == 10_000


def test_a_circle_of_ten_thousand(registry):
    components = {str(i): {"type": "Blank"} for i in range(10_000)}
    raw = native(components=components, edges=[f"{i} -> {(i + 1) % 10_000}" for i in range(10_000)])
    (flow,) = read_flows(raw, limits=Limits(max_vertices=10_000))
    (finding,) = [f for f in check_flow(flow, registry) if f.code == "cycle"]
    assert finding.level == "error"
    assert len(finding.message) < 400


def test_a_self_edge(registry):
    (flow,) = read_flows(native(edges=["in.message -> in.input_value"]))
    assert ("cycle", "error") in {(f.code, f.level) for f in check_flow(flow, registry)}


def archive(name, content, **options):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr(name, content, **options)
    return buffer.getvalue()


def test_an_archive_that_unpacks_to_more_than_it_should():
    data = archive("a.json", b" " * 3_000_000)
    assert len(data) < 10_000
    refused(data, "The archive unpacks to more than 1000000 bytes", limits=Limits(max_bytes=1_000_000))


def test_an_archive_that_is_cut_off():
    data = archive("a.json", json.dumps(native()))
    refused(data[:-10], "The archive cannot be read")
    refused(data[:40] + b"\0" * 20 + data[60:], "cannot be read")


def test_names_in_archives_are_never_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (flow,) = read_flows(archive("../../evil.json", json.dumps(native())))
    assert flow.name == "Native test"
    assert list(tmp_path.iterdir()) == []


JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.floats()
    | st.sampled_from(["", "x", "in", "->", "code", "œ|{"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "type", "name", "x"]), inner, max_size=3)
    ),
    max_leaves=5,
)


def places(value, path=()):
    """Return the path of every value inside."""
    found = [path]
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        found += places(child, (*path, key))
    return found


def changed(raw, path, junk):
    if not path:
        return junk
    made = copy.deepcopy(raw)
    inner = made
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = junk
    return made


def with_group():
    made = node("G", "Group", {"input_value_a": field("", proxy={"id": "a", "field": "input_value"})})
    made["data"]["node"]["flow"] = {
        "data": {"nodes": [node("a", "Blank"), node("b", "Both")], "edges": [edge("a", "b")]}
    }
    return export([made, *echo()["data"]["nodes"]], [edge("ChatInput-a", "G", field_name="input_value_a")])


SEEDS = [
    echo(),
    with_group(),
    native(),
    {"flows": [echo()]},
    native(
        components={"a": {"type": "Both", "settings": {"x": {"$variable": "v"}}, "outputs": ["o"], "position": [1, 2]}},
        edges=[{"source": "a", "target": "a", "feedback": True}],
    ),
]


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_no_change_of_a_file_leads_to_anything_but_a_sentence(data):
    raw = data.draw(st.sampled_from(SEEDS))
    for _ in range(data.draw(st.integers(1, 3))):
        raw = changed(raw, data.draw(st.sampled_from(places(raw))), data.draw(JUNK))
    try:
        flows = read_flows(json.dumps(raw))
    except FlowRunnerError as error:
        assert error.message
        return
    for flow in flows:
        convert_flow(flow)
        json.dumps([finding.to_json() for finding in flow.findings])


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200) | st.builds(lambda b: b"PK\x03\x04" + b, st.binary(max_size=200)))
def test_no_bytes_lead_to_anything_but_a_sentence(data):
    for part in read_parts(data):
        assert part.flow is not None or part.error.message


@settings(max_examples=100, deadline=None)
@given(start=st.integers(0, 400), junk=st.binary(max_size=40))
def test_no_damage_of_an_archive_leads_to_anything_but_a_sentence(start, junk):
    whole = archive("a.json", json.dumps(native()))
    for part in read_parts(whole[:start] + junk + whole[start + len(junk) :]):
        assert part.flow is not None or part.error.message
