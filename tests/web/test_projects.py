"""Projects: an owner's flows, kept together under names; folders is their older name."""

from __future__ import annotations

import io
import json
import zipfile

import pytest

from tests.web.site import echo_flow, open_site

NOBODY = "00000000-0000-4000-8000-000000000000"


@pytest.fixture(params=["projects", "folders"])
def base(request):
    return f"/api/v1/{request.param}/"


def listed(site, user="ann", base="/api/v1/projects/"):
    return {one["name"]: one["id"] for one in site.ask(user, "GET", base)}


def inside(site, project, user="ann"):
    return sorted(flow["name"] for flow in site.ask(user, "GET", f"/api/v1/projects/{project}")["flows"])


def test_an_owner_has_one_project_at_least_and_every_flow_is_in_one(site, base):
    first = site.ask("ann", "GET", base)
    assert [(one["name"], one["parent_id"]) for one in first] == [("Starter Project", None)]
    flow = site.ask("ann", "POST", "/api/v1/flows/", 201, json=echo_flow())
    ids = [one["id"] for one in site.ask("ann", "GET", base)]
    assert ids == [first[0]["id"]] == [flow["folder_id"]]
    for shown in (
        *site.ask("ann", "GET", "/api/v1/flows/"),
        *site.ask("ann", "GET", "/api/v1/flows/?header_flows=true"),
    ):
        assert shown["folder_id"] in ids
    assert site.ask("ann", "GET", f"/api/v1/flows/{flow['id']}")["folder_id"] in ids
    found = site.ask("ann", "GET", f"{base}{ids[0]}")
    assert [one["id"] for one in found["flows"]] == [flow["id"]]
    # What a flow says of a project that is none of its owner's counts for nothing.
    lost = site.ask("ann", "POST", "/api/v1/flows/", 201, json=echo_flow("lost", folder_id=NOBODY))
    assert lost["folder_id"] == ids[0]


def test_a_project_is_made_renamed_and_deleted_with_its_flows(site, base):
    made = site.ask("ann", "POST", base, 201, json={"name": "Shop", "description": "d"})
    assert made == {"id": made["id"], "name": "Shop", "description": "d", "parent_id": None}
    assert site.ask("ann", "POST", base, 201, json={"name": "Shop"})["name"] == "Shop (1)"
    assert site.ask("ann", "POST", base, 201, json={"name": "Starter Project"})["name"] == "Starter Project (1)"
    one = f"{base}{made['id']}"
    flow = site.ask("ann", "POST", "/api/v1/flows/", 201, json=echo_flow(folder_id=made["id"]))
    assert flow["folder_id"] == made["id"]
    site.say("ann", flow["id"], "hello", "s")
    assert site.ask("ann", "PATCH", one, json={"name": "Market"}) == {**made, "name": "Market"}
    assert site.ask("ann", "PATCH", one, json={"description": None})["description"] is None
    assert site.ask("ann", "PATCH", one, 400, json={"name": "Shop (1)"})["detail"] == "Project name must be unique"
    assert [f["id"] for f in site.ask("ann", "GET", f"/api/v1/flows/?folder_id={made['id']}")] == [flow["id"]]
    site.ask("ann", "DELETE", one, 204)
    for method, more in (("GET", {}), ("DELETE", {}), ("PATCH", {"json": {"name": "x"}})):
        assert site.ask("ann", method, one, 404, **more)["detail"] == "Project not found"
    site.ask("ann", "GET", f"/api/v1/flows/{flow['id']}", 404)
    assert site.texts("ann") == ["hello", "hello"]
    assert set(listed(site)) == {"Starter Project", "Shop (1)", "Starter Project (1)"}


def test_the_usual_project_can_be_renamed_and_comes_back_when_it_is_deleted(site):
    (usual,) = listed(site).values()
    flow = site.flow("ann")
    site.ask("ann", "PATCH", f"/api/v1/projects/{usual}", json={"name": "Mine"})
    assert listed(site) == {"Mine": usual}
    assert inside(site, usual) == [site.ask("ann", "GET", f"/api/v1/flows/{flow}")["name"]]
    assert (
        site.ask("ann", "POST", "/api/v1/projects/", 201, json={"name": "Starter Project"})["name"] == "Starter Project"
    )
    site.ask("ann", "DELETE", f"/api/v1/projects/{usual}", 204)
    site.ask("ann", "GET", f"/api/v1/flows/{flow}", 404)
    assert listed(site)["Starter Project (1)"] == usual


def test_flows_move(site):
    (usual,) = listed(site).values()
    flows = [site.ask("ann", "POST", "/api/v1/flows/", 201, json=echo_flow(name)) for name in ("a", "b", "c")]
    a, b, c = (flow["id"] for flow in flows)
    site.ask("ann", "PATCH", f"/api/v1/flows/{a}", json={"folder_id": None})
    assert inside(site, usual) == ["a", "b", "c"]
    bobs = site.flow("bob")
    made = site.ask("ann", "POST", "/api/v1/projects/", 201, json={"name": "P", "flows_list": [a, bobs, NOBODY]})["id"]
    assert (inside(site, made), inside(site, usual)) == (["a"], ["b", "c"])
    site.ask("ann", "PATCH", f"/api/v1/flows/{b}", json={"folder_id": made})
    assert (inside(site, made), inside(site, usual)) == (["a", "b"], ["c"])
    site.ask("ann", "PATCH", f"/api/v1/projects/{made}", json={"flows": [b.upper(), c]})
    assert (inside(site, made), inside(site, usual)) == (["b", "c"], ["a"])
    site.ask("ann", "PATCH", f"/api/v1/projects/{made}", json={"name": "Q", "components": []})
    assert (inside(site, made), inside(site, usual)) == ([], ["a", "b", "c"])
    assert site.ask("bob", "GET", f"/api/v1/flows/{bobs}")["folder_id"] != made


def test_a_page_of_the_flows_of_a_project(site):
    (usual,) = listed(site).values()
    for name in "abc":
        site.flow("ann", echo_flow(name))
    page = site.ask("ann", "GET", f"/api/v1/projects/{usual}?page=2&size=2")
    assert page["folder"]["id"] == usual
    assert [flow["name"] for flow in page["flows"].pop("items")] == ["c"]
    assert page["flows"] == {"total": 3, "page": 2, "size": 2, "pages": 2}
    site.ask("ann", "GET", f"/api/v1/projects/{usual}?page=0&size=2", 422)


def test_a_project_is_downloaded_and_uploaded(site, base):
    made = site.ask("ann", "POST", base, 201, json={"name": "P"})["id"]
    site.ask("ann", "GET", f"{base}download/{made}", 404)
    for name in ("a", "b"):
        site.ask("ann", "POST", "/api/v1/flows/", 201, json=echo_flow(name, folder_id=made))
    packed = site.call("ann", "GET", f"{base}download/{made}").data
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        found = [json.loads(archive.read(name)) for name in archive.namelist()]
    assert sorted(flow["name"] for flow in found) == ["a", "b"]
    assert all(flow["data"]["nodes"] for flow in found)
    file = {"file": (io.BytesIO(packed), "Copy of P.zip")}
    again = site.ask("bob", "POST", f"{base}upload/", 201, data=file)
    assert sorted(flow["name"] for flow in again) == ["a", "b"]
    assert {flow["folder_id"] for flow in again} == {listed(site, "bob")["Copy of P"]}
    text = json.dumps({"folder_name": "Named", "folder_description": "d", "flows": [echo_flow("x")]})
    (flow,) = site.ask("bob", "POST", f"{base}upload/", 201, data={"file": (io.BytesIO(text.encode()), "f.json")})
    assert flow["folder_id"] == listed(site, "bob")["Named"]


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"{", 400),
        (b"3", 400),
        (b'{"folder_name": 3, "flows": [{"name": "x", "data": null}]}', 422),
        (b'{"flows": [1]}', 422),
        (b'{"folder_name": "P", "flows": [{"name": "\\u0000", "data": null}]}', 422),
    ],
    ids=["no JSON", "a number", "a name that is none", "no flow", "a flow that cannot be kept"],
)
def test_an_upload_that_is_none_leaves_nothing(site, content, status):
    file = {"file": (io.BytesIO(content), "P.json")}
    assert site.call("ann", "POST", "/api/v1/projects/upload/", data=file).status_code == status
    assert list(listed(site)) == ["Starter Project"]
    assert site.ask("ann", "GET", "/api/v1/flows/") == []


def test_projects_are_their_owners(site):
    made = site.ask("ann", "POST", "/api/v1/projects/", 201, json={"name": "Secret"})["id"]
    flow = site.ask("ann", "POST", "/api/v1/flows/", 201, json=echo_flow(folder_id=made))["id"]
    (anns,) = (found for name, found in listed(site).items() if name == "Starter Project")
    for project in (made, anns):
        one = f"/api/v1/projects/{project}"
        for method, path, more in (
            ("GET", one, {}),
            ("DELETE", one, {}),
            ("PATCH", one, {"json": {"name": "x", "flows": [flow]}}),
            ("GET", f"/api/v1/projects/download/{project}", {}),
        ):
            site.ask("bob", method, path, 404, **more)
    stolen = site.ask("bob", "POST", "/api/v1/flows/", 201, json=echo_flow(folder_id=made))
    assert stolen["folder_id"] == listed(site, "bob")["Starter Project"]
    assert (len(site.ask("ann", "GET", f"/api/v1/projects/{made}")["flows"]), listed(site)["Secret"]) == (1, made)
    site.add_user("ann", "limited", flows=[flow])
    site.add_user("ann", "reader", read_only=True)
    site.ask("limited", "GET", "/api/v1/projects/", 403)
    assert listed(site, "reader") == listed(site)
    site.ask("reader", "POST", "/api/v1/projects/", 403, json={"name": "x"})
    site.ask("reader", "DELETE", f"/api/v1/projects/{made}", 403)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": None},
        {"name": ""},
        {"name": "  "},
        {"name": 3},
        {"name": "a\0"},
        {"name": "x" * 256},
        {"name": "p", "description": 3},
        {"name": "p", "flows_list": "x"},
        {"name": "p", "flows_list": ["x"]},
        [],
        None,
    ],
    ids=str,
)
def test_what_is_no_project_is_refused(site, body):
    site.ask("ann", "POST", "/api/v1/projects/", 422, json=body)
    assert list(listed(site)) == ["Starter Project"]


def test_ids_of_all_spellings(site):
    made = site.ask("ann", "POST", "/api/v1/projects/", 201, json={"name": "P"})["id"]
    for spelling in (made.upper(), made.replace("-", "")):
        assert site.ask("ann", "GET", f"/api/v1/projects/{spelling}")["id"] == made
        assert site.ask("ann", "POST", "/api/v1/flows/", 201, json=echo_flow(folder_id=spelling))["folder_id"] == made
    site.ask("ann", "GET", "/api/v1/projects/none", 422)


def test_flows_of_files_are_in_the_usual_project(tmp_path):
    folder = tmp_path / "flows"
    folder.mkdir()
    (folder / "one.json").write_text(json.dumps(echo_flow("one")))
    with open_site(tmp_path / "data", flows_dir=[str(folder)]) as site:
        site.add_user("ann")
        (usual,) = listed(site).values()
        assert inside(site, usual) == ["one"]
        (flow,) = site.ask("ann", "GET", "/api/v1/flows/")
        assert flow["folder_id"] == usual
        site.ask("ann", "DELETE", f"/api/v1/projects/{usual}", 204)
        assert inside(site, usual) == ["one"]


def test_projects_go_with_their_flows_to_another_owner(site):
    from flowrunner.store.keys import owner_of_user
    from flowrunner.store.ownership import give_things

    made = site.ask("ann", "POST", "/api/v1/projects/", 201, json={"name": "P"})["id"]
    site.ask("bob", "POST", "/api/v1/projects/", 201, json={"name": "P"})
    site.ask("ann", "POST", "/api/v1/flows/", 201, json=echo_flow("in", folder_id=made))
    site.ask("ann", "POST", "/api/v1/flows/", 201, json=echo_flow("out"))
    stores = site.runner.stores
    give_things(stores.projects._engine, site.runner.settings.data_dir, owner_of_user("ann"), owner_of_user("bob"))
    assert list(listed(site)) == ["Starter Project"]
    names = listed(site, "bob")
    assert set(names) == {"Starter Project", "P", "P (1)"}
    assert (names["P (1)"], inside(site, made, "bob")) == (made, ["in"])
    assert inside(site, names["Starter Project"], "bob") == ["out"]


def test_projects_are_kept_in_postgresql(tmp_path, request):
    server = request.getfixturevalue("postgres_server")
    server.execute("CREATE DATABASE projects")
    url = server.url("projects").render_as_string(hide_password=False)
    for round in range(2):
        with open_site(tmp_path, database_url=url) as site:
            if not round:
                site.add_user("ann")
                made = site.ask("ann", "POST", "/api/v1/projects/", 201, json={"name": "P"})["id"]
                site.ask("ann", "POST", "/api/v1/flows/", 201, json=echo_flow("in", folder_id=made))
                keys = site.keys
            site.keys = keys
            assert listed(site)["P"] == made
            assert inside(site, made) == ["in"]
            site.ask("ann", "PATCH", f"/api/v1/projects/{made}", json={"description": "again"})
