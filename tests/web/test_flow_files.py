"""Flow files sent to the flows API: every form is kept, and what cannot be kept is refused as a whole."""

import io
import json
import zipfile

import pytest

from flowrunner.flows.reading import find_graph
from flowrunner.store.flowrecord import with_graph
from tests.flows.exports import native
from tests.flows.test_reading import packed
from tests.web.site import echo_flow

FLOWS = "/api/v1/flows/"
BARE = echo_flow("bare")["data"]


def upload(site, content, expect=201, filename="my flow.json"):
    content = content if isinstance(content, bytes) else json.dumps(content).encode()
    return site.ask("ann", "POST", f"{FLOWS}upload/", expect, data={"file": (io.BytesIO(content), filename)})


def own_names(site):
    return [flow["name"] for flow in site.ask("ann", "GET", FLOWS) if flow["user_id"]]


def said(site, flow_id):
    return site.say("ann", flow_id, "hello")["outputs"][0]["outputs"][0]["results"]["message"]["text"]


@pytest.mark.parametrize(
    "flow", [native(), {"name": "bare", **BARE}, {"name": "bare", **BARE, "data": None}, {"data": native()}, BARE]
)
def test_a_graph_beside_the_name_is_kept_and_runs(site, flow):
    """Sent in every way, it runs; and what is downloaded can be sent again."""
    archive = packed({"folder/a flow.json": flow})
    made = [*upload(site, flow), *upload(site, archive, filename="x.zip"), *upload(site, {"flows": [flow]})]
    made.append(site.ask("ann", "POST", FLOWS, 201, json={"name": "made", **flow}))
    (batch,) = site.ask("ann", "POST", f"{FLOWS}batch/", 201, json={"flows": [{"name": "batch", **flow}]})
    empty = site.ask("ann", "POST", FLOWS, 201, json={"name": "empty"})
    changed = site.ask("ann", "PATCH", FLOWS + empty["id"], 200, json=flow | {"name": "patched"})
    replaced = site.ask("ann", "PUT", FLOWS + changed["id"], 200, json=flow | {"name": "put"})
    put = site.ask("ann", "PUT", f"{FLOWS}11111111-2222-4333-8444-555555555555", 201, json=flow | {"name": "put anew"})
    made += [batch, changed, replaced, put]
    for flow_made in made:
        assert said(site, flow_made["id"]) == "hello"
    for ids in ([made[0]["id"]], [made[0]["id"], made[1]["id"]]):
        again = site.call("ann", "POST", f"{FLOWS}download/", json=ids).get_data()
        assert [said(site, flow["id"]) for flow in upload(site, again)] == ["hello"] * len(ids)


def test_what_is_shown_has_the_graph_under_data(site):
    (shown,) = upload(site, native(description="d"))
    assert (shown["name"], shown["description"]) == ("Native test", "d")
    assert shown["native"] == {key: native()[key] for key in ("components", "edges")}
    assert {node["id"] for node in shown["data"]["nodes"]} == set(native()["components"])
    (hook,) = upload(site, {"name": "hook", "components": {"hook": {"type": "Webhook"}}})
    assert (shown["webhook"], hook["webhook"]) == (False, True)


@pytest.mark.parametrize(
    ("flow", "said"),
    [
        ({**native(), "edgs": []}, "data: edgs: unknown key; did you mean edges?"),
        (native(components={"a": {}}), "data: components.a.type: the component has no type."),
        ({"name": "x", "components": 5}, "data: components: must be an object."),
        ({"name": "x", "nodes": []}, "data: Flow must have edges."),
    ],
)
def test_a_graph_beside_the_name_that_is_none_is_refused(site, flow, said):
    refused = site.ask("ann", "POST", FLOWS, 422, json=flow)
    assert refused["detail"][0]["loc"] == ["body", "data"]
    assert refused["detail"][0]["msg"] == f"Value error, {said.removeprefix('data: ').removesuffix('.')}"
    assert own_names(site) == []


def test_a_flow_without_a_name_is_called_as_its_file(site):
    (made,) = upload(site, BARE, filename="my flow.json")
    assert made["name"] == "my flow"
    archive = packed({"folder/one.json": BARE, "two.json": {"data": native()}, "three.json": echo_flow("its-own")})
    assert [flow["name"] for flow in upload(site, archive)] == ["one", "two", "its-own"]


def bomb():
    return packed({"a.json": '{"name": "big", "x": "' + "a" * 40_000_000 + '"}'}, compression=zipfile.ZIP_DEFLATED)


def broken_archive():
    good = packed({"a.json": echo_flow("a")})
    return good[: len(good) // 2]


@pytest.mark.parametrize(
    ("content", "status", "named"),
    [
        (packed({"a.json": echo_flow("a"), "b.json": "{broken"}), 422, "b.json: Line 1"),
        (packed({"a.json": echo_flow("a"), "c.json": {"name": "c", "components": 5}}), 422, "c.json: components"),
        (packed({"a.json": [echo_flow("a"), {"x": 1}]}), 422, "a.json[1]: Not a flow"),
        (bomb(), 422, "unpacks to more than"),
        (broken_archive(), 422, "The archive cannot be read"),
        (packed({"readme.txt": "x"}), 400, "The file does not contain a flow."),
        (packed({}), 400, "The file does not contain a flow."),
        ({"flows": []}, 400, "The file does not contain a flow."),
        ({"flows": [echo_flow("a"), None]}, 422, "flows[1]: must be an object."),
        ({"flows": [echo_flow("a"), {"name": "b"}]}, 422, "up[1]: Not a flow"),
        ({"flows": [echo_flow("a"), {"name": "b", "data": {"nodes": []}}]}, 422, "Flow must have edges"),
        ({"name": "b", "nods": []}, 422, "did you mean nodes?"),
        (b"5", 400, "it does not contain a flow"),
    ],
)
def test_an_upload_is_taken_as_a_whole_or_not_at_all(site, content, status, named):
    assert named in json.dumps(upload(site, content, status, "up.json"))
    assert own_names(site) == []


def test_a_batch_is_taken_as_a_whole_or_not_at_all(site):
    body = {"flows": [{"name": "good", "data": None}, {"data": None}]}
    refused = site.ask("ann", "POST", f"{FLOWS}batch/", 422, json=body)
    assert refused["detail"] == [{"type": "missing", "loc": ["body", "flows", 1, "name"], "msg": "Field required"}]
    assert own_names(site) == []
    body["flows"][1]["name"] = "good"
    assert [flow["name"] for flow in site.ask("ann", "POST", f"{FLOWS}batch/", 201, json=body)] == ["good", "good (1)"]


def test_a_flow_of_a_folder_is_shown_with_its_graph_under_data(make_site, tmp_path):
    folder = tmp_path / "flows"
    folder.mkdir()
    (folder / "short.json").write_text(json.dumps(native()))
    (folder / "bare.json").write_text(json.dumps({"name": "bare", **BARE}))
    site = make_site(flows_dir=[folder])
    site.add_user("ann")
    bare, short = site.ask("ann", "GET", FLOWS)
    assert (set(bare["data"]), set(short["data"])) == ({"nodes", "edges"}, {"nodes", "edges", "viewport"})
    assert ("native" in bare, set(short["native"])) == (False, {"components", "edges"})
    again = site.call("ann", "POST", f"{FLOWS}download/", json=[bare["id"], short["id"]]).get_data()
    assert [said(site, flow["id"]) for flow in upload(site, again)] == ["hello", "hello"]


@pytest.mark.parametrize("data", [None, {}, {"nodes": [], "edges": []}])
def test_components_beside_data_are_the_graph_as_in_a_folder(data):
    both = {"name": "n", "components": {"a": {"type": "ChatInput"}}, "data": data}
    assert find_graph(both)[0] is both
    assert with_graph(both)["data"] == {"components": both["components"]}


def test_a_native_flow_is_read_as_nodes_and_edges_with_the_native_form_beside_them(site):
    native = {
        "components": {"in": {"type": "ChatInput"}, "out": {"type": "ChatOutput"}},
        "edges": ["in.message -> out.input_value"],
    }
    stored = site.ask("ann", "POST", "/api/v1/flows/", 201, json={"name": "n", "data": native})
    one = f"/api/v1/flows/{stored['id']}"
    for shown in (stored, site.ask("ann", "GET", one), site.ask("ann", "GET", "/api/v1/flows/")[0]):
        assert {node["data"]["type"] for node in shown["data"]["nodes"]} == {"ChatInput", "ChatOutput"}
        assert [(edge["source"], edge["target"]) for edge in shown["data"]["edges"]] == [("in", "out")]
        assert shown["native"] == native
    shown["data"]["nodes"][0]["position"] = {"x": 5, "y": 5}
    changed = site.ask("ann", "PATCH", one, json={"data": shown["data"]})
    assert (changed["data"], "native" in changed) == (shown["data"], False)
    assert site.say("ann", stored["id"], "hi")["outputs"][0]["outputs"][0]["results"]["message"]["text"] == "hi"
    header = site.ask("ann", "GET", "/api/v1/flows/?header_flows=true")[0]
    assert header["data"] is None
