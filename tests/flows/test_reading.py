"""Wrappers, ids and names of flow files."""

import io
import json
import uuid
import zipfile

import pytest

from flowrunner import FlowInvalid
from flowrunner.flows.naming import canonical_uuid, derived_id, endpoint_name_from
from flowrunner.flows.parsing import Limits
from flowrunner.flows.reading import read_flows, read_parts
from tests.flows.exports import echo, native

ID = "0B8F4B5E-6A58-4C2E-9F0A-3D6F0F4C9A11"


def packed(files, **options):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", **options) as archive:
        for name, content in files.items():
            archive.writestr(name, content if isinstance(content, (str, bytes)) else json.dumps(content))
    return buffer.getvalue()


@pytest.mark.parametrize("convert", [dict, json.dumps, lambda raw: json.dumps(raw).encode()])
@pytest.mark.parametrize("raw", [echo(), native(), echo()["data"]])
def test_one_flow(raw, convert):
    (flow,) = read_flows(convert(raw), name_hint="hint")
    assert [v.type for v in flow.vertices] == ["ChatInput", "ChatOutput"]


def test_a_byte_order_mark_is_accepted():
    assert read_flows(b"\xef\xbb\xbf" + json.dumps(native()).encode())
    assert read_flows("\ufeff" + json.dumps(native()))


@pytest.mark.parametrize("wrap", [lambda flows: {"flows": flows, "folder_name": "x"}, lambda flows: flows])
def test_several_flows(wrap):
    flows = read_flows(json.dumps(wrap([echo(name="one"), native(name="two")])), name_hint="file", endpoint_hint="file")
    assert [(flow.name, flow.endpoint_name) for flow in flows] == [("one", None), ("two", None)]


@pytest.mark.parametrize("empty", [{"data": None}, {"nodes": []}, {"components": None}])
def test_a_list_stands_for_itself_beside_members_that_are_empty(empty):
    assert [flow.name for flow in read_flows({"flows": [echo(name="one")], **empty})] == ["one"]


def test_a_graph_stands_for_itself_beside_a_list_that_is_empty():
    assert [flow.name for flow in read_flows({"flows": [], **echo(name="one")})] == ["one"]
    assert len(read_flows({"name": "bare", "data": None, **echo()["data"]})[0].vertices) == 2


def test_an_entry_of_a_list_that_is_none_leaves_the_others():
    parts = read_parts({"flows": [echo(name="one"), None]}, name_hint="x")
    assert [part.flow.name if part.flow else part.error.message for part in parts] == [
        "one",
        "flows[1]: must be an object.",
    ]


def test_the_native_form_may_stand_under_data_as_the_api_shows_it():
    raw = {"name": "shown", "data": native(), "is_component": False}
    (flow,) = read_flows(raw)
    assert (flow.name, len(flow.vertices), len(flow.edges)) == ("shown", 2, 1)
    raw["data"]["components"]["in"]["setings"] = {}
    with pytest.raises(FlowInvalid, match="^data.components.in.setings: unknown key"):
        read_flows(raw)


def test_an_archive_of_flows():
    data = packed(
        {"p/one.json": echo(name="one"), "two.json": native(name="two"), "read.me": "?", "__MACOSX/x.json": "?"}
    )
    assert [flow.name for flow in read_flows(data)] == ["one", "two"]


def test_a_broken_flow_leaves_the_others_of_its_file():
    parts = read_parts(packed({"a.json": "{", "b.json": native(name="b"), "c.json": {"data": 3}}))
    assert [part.flow.name if part.flow else part.error.message for part in parts] == [
        "a.json: Line 1, column 2 is not valid JSON: Expecting property name enclosed in double quotes.",
        "b",
        "data: must be an object with nodes and edges.",
    ]


def test_a_flow_without_data_is_empty():
    (flow,) = read_flows({"name": "nothing", "data": None})
    assert (flow.vertices, flow.findings) == ((), ())


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ("3", "Not a flow: the file must contain an object or a list of flows."),
        ('"x"', "Not a flow: the file must contain an object or a list of flows."),
        ("[3]", r"flows\[0\]: must be an object"),
        ("{}", "but nothing"),
        ('{"component": {}}', "but the keys component; did you mean components?"),
        ('{"flows": 3}', "Not a flow"),
    ],
)
def test_what_is_no_flow(raw, message):
    with pytest.raises(FlowInvalid, match=message.replace("?", r"\?")):
        read_flows(raw)


@pytest.mark.parametrize("spelling", [ID, ID.lower(), ID.replace("-", ""), ID.lower().replace("-", "")])
def test_the_id_of_a_file_in_any_spelling(spelling):
    assert read_flows(native(id=spelling))[0].id == ID.lower()


def test_the_id_made_from_a_name_is_always_the_same():
    first, second = read_flows(native())[0], read_flows(echo(name="Native test"))[0]
    assert first.id == second.id == derived_id("Native test")
    assert uuid.UUID(first.id).version == 5
    assert read_flows(native(name="Other"))[0].id != first.id


@pytest.mark.parametrize("bad", ["not-a-uuid", "{" + ID + "}", "urn:uuid:" + ID])
def test_an_id_that_is_no_uuid_is_noticed(bad):
    (flow,) = read_flows(native(id=bad))
    assert flow.id == derived_id("Native test")
    assert [(f.code, f.level) for f in flow.findings] == [("bad-id", "warning")]


def test_names_come_from_the_file_where_the_flow_has_none():
    raw = native()
    del raw["name"]
    (flow,) = read_flows(raw, name_hint="my flow", endpoint_hint="my flow")
    assert (flow.name, flow.endpoint_name) == ("my flow", "my-flow")


def test_the_endpoint_name_of_the_flow_counts_before_that_of_the_file():
    assert read_flows(native(endpoint_name="own"), endpoint_hint="file")[0].endpoint_name == "own"


@pytest.mark.parametrize("bad", ["a b", "a/b", "ä", "a.b"])
def test_an_endpoint_name_that_is_no_address_is_noticed(bad):
    (flow,) = read_flows(native(endpoint_name=bad), endpoint_hint="file")
    assert flow.endpoint_name == "file"
    assert [f.code for f in flow.findings] == ["bad-endpoint-name"]


@pytest.mark.parametrize(
    ("text", "name"), [("a b", "a-b"), (" Über uns! ", "ber-uns"), ("图", None), ("a_b-C1", "a_b-C1")]
)
def test_endpoint_names_made_from_names(text, name):
    assert endpoint_name_from(text) == name


@pytest.mark.parametrize("value", [None, 3, "", "x", ID + "0", ID[:-1], "g" * 32])
def test_what_is_no_uuid(value):
    assert canonical_uuid(value) is None


def test_both_forms_give_the_same_flow():
    export = echo()
    for node in export["data"]["nodes"]:
        node["data"]["node"] |= {"outputs": [], "template": {}, "display_name": ""}
    export["data"]["edges"][0]["data"] = {
        "sourceHandle": {"name": "message"},
        "targetHandle": {"fieldName": "input_value"},
    }
    raw = native(
        components={"ChatInput-a": {"type": "ChatInput"}, "ChatOutput-b": {"type": "ChatOutput"}},
        edges=["ChatInput-a.message -> ChatOutput-b.input_value"],
    )
    assert read_flows(export)[0].content_hash == read_flows(raw)[0].content_hash


def test_too_many_flows():
    with pytest.raises(FlowInvalid, match="The file has 3 flows; at most 2 are accepted"):
        read_flows(json.dumps([native()] * 3), limits=Limits(max_flows=2))
    with pytest.raises(FlowInvalid, match="The archive has 3 files; at most 2 are accepted"):
        read_flows(packed({f"{n}.json": native() for n in range(3)}), limits=Limits(max_flows=2))
