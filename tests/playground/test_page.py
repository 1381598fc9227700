"""The page, its files and its routes, asked without a browser."""

from __future__ import annotations

import gzip
import re

import pytest
from flask import Flask

from flowrunner.app import create_app, runner_of
from flowrunner.extension import FlowRunner
from flowrunner.playground.page import FOLDER, packed_file, static_files
from tests.live_server import ROOT

FLOWS = str(ROOT / "examples" / "flows")


@pytest.fixture
def app(tmp_path):
    app = create_app(data_dir=tmp_path, flows_dir=FLOWS, playground=True, memory="in-memory", auth="none")
    yield app
    runner_of(app).close()


@pytest.fixture
def client(app):
    return app.test_client()


def page_text():
    return (FOLDER / "index.html").read_text("utf-8")


def test_all_that_the_page_loads_weighs_at_most_80_kilobytes():
    weight = sum(len(packed_file(name)) for name in [*static_files(), "index.html"])
    assert weight <= 80_000, f"the page weighs {weight} bytes compressed"


def test_the_page_holds_no_script_no_style_and_no_address_of_another_host():
    page = page_text()
    assert not re.search(r"<script(?![^>]*\bsrc=)", page)
    assert not re.search(r"<style|\sstyle=|\son\w+=", page)
    for name in static_files() - {"icon.svg"}:
        text = (FOLDER / name).read_text("utf-8")
        # The scheme is looked for in one module; the namespace of SVG is no address that is fetched.
        assert not re.search(r"https?://(?!www\.w3\.org)[\w]", text), name
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function", text), (
            name
        )


def test_the_policy_lets_nothing_in(client):
    policy = client.get("/playground").headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy


@pytest.mark.parametrize("name", sorted(static_files()))
def test_files_are_sent_packed_and_asked_for_anew(client, name):
    answer = client.get(f"/playground/{name}", headers={"Accept-Encoding": "gzip"})
    assert gzip.decompress(answer.data) == (FOLDER / name).read_bytes()
    assert answer.headers["Cache-Control"] == "no-cache"
    again = client.get(
        f"/playground/{name}", headers={"Accept-Encoding": "gzip", "If-None-Match": answer.headers["ETag"]}
    )
    assert again.status_code == 304
    assert client.get(f"/playground/{name}").data == (FOLDER / name).read_bytes()


@pytest.mark.parametrize("name", ["index.html", "..", "%2e%2e%2fpage.py", "page.py", "", "x.js", "../page.py"])
def test_nothing_else_is_sent(client, name):
    answer = client.get(f"/playground/{name}", follow_redirects=False)
    assert answer.status_code in (308, 404)


def test_page_and_files_are_open_and_nothing_else_is(tmp_path):
    app = create_app(data_dir=tmp_path, flows_dir=FLOWS, playground=True, memory="in-memory")
    client = app.test_client()
    assert client.get("/playground").status_code == 200
    assert client.get("/playground/app.js").status_code == 200
    for path in ("/api/v1/flows/router/graph.svg", "/api/v1/flows/router/plan"):
        assert client.get(path).status_code == 403
    assert client.post("/api/v1/render", json={"texts": []}).status_code == 403
    reader = {"x-api-key": runner_of(app).stores.keys.create("ann", read_only=True)}
    assert client.post("/api/v1/render", json={"texts": ["a"]}, headers=reader).status_code == 200
    assert client.post("/api/v1/run/router", json={}, headers=reader).status_code == 403
    runner_of(app).close()


def test_it_is_off_in_a_site_unless_asked_for(tmp_path):
    app = Flask("site")
    FlowRunner(app, data_dir=tmp_path / "off", memory="in-memory")
    assert app.test_client().get("/flowrunner/playground").status_code == 404


def test_it_lies_under_any_prefix(tmp_path):
    app = Flask("site")
    FlowRunner(app, url_prefix="/tools/flows", data_dir=tmp_path, flows_dir=FLOWS, playground=True, memory="in-memory")
    client = app.test_client()
    mounted = {"environ_overrides": {"SCRIPT_NAME": "/below"}}
    assert client.get("/tools/flows/playground", **mounted).status_code == 200
    slash = client.get("/tools/flows/playground/", **mounted)
    assert (slash.status_code, slash.headers["Location"]) == (308, "../playground")
    for address in re.findall(r'(?:src|href)="([^"#]+)"', page_text()):
        assert not address.startswith("/"), "addresses are relative, so that any prefix will do"
        assert client.get(f"/tools/flows/{address}").status_code == 200


def test_the_drawing(client):
    answer = client.get("/api/v1/flows/router/graph.svg")
    assert answer.mimetype == "image/svg+xml"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.text.count("data-vertex=") == 4
    assert answer.text.count("data-edge=") == 3
    assert client.get("/api/v1/flows/nothing/graph.svg").json["code"] == "flow_not_found"


def test_the_plan_says_who_decides_each_session(client):
    plan = client.get("/api/v1/flows/router/plan?session_id=s 1").json
    assert plan["problem"] is None
    assert [v["id"] for v in plan["vertices"]] == ["question", "wants-help", "help", "echo"]
    assert {v["decided_by"] for v in plan["vertices"]} == {"the request"}
    assert plan["vertices"][0]["session"] == {"id": "s 1", "source": "payload", "component": None}
    assert plan["edges"][1] == {
        "source": "wants-help",
        "output": "true_result",
        "target": "help",
        "input": "input_value",
    }


def test_the_plan_of_a_flow_that_cannot_run_says_why(client):
    broken = {"name": "Broken", "data": {"nodes": [_node("Nobody-1", "NobodyOffersThis")], "edges": []}}
    made = client.post("/api/v1/flows/", json=broken).json
    plan = client.get(f"/api/v1/flows/{made['id']}/plan").json
    assert "NobodyOffersThis" in plan["problem"]
    assert [v["type"] for v in plan["vertices"]] == ["NobodyOffersThis"]
    assert client.get(f"/api/v1/flows/{made['id']}/graph.svg").status_code == 200


def _node(name, kind):
    return {"id": name, "data": {"id": name, "type": kind, "node": {"template": {}, "outputs": []}}}


def test_texts_are_rendered_in_their_order(client):
    html = client.post("/api/v1/render", json={"texts": ["*a*", "", "x" * 60_000]}).json["html"]
    assert html == ["<p><em>a</em></p>\n", "", None]


def test_one_request_renders_only_so_many_characters(client):
    texts = ["x" * 50_000] * 3 + ["y" * 50_001] + ["x" * 50_000, "z", ""]
    html = client.post("/api/v1/render", json={"texts": texts}).json["html"]
    assert [one is None for one in html] == [False, False, False, True, False, True, False]


@pytest.mark.parametrize("body", [{}, {"texts": "a"}, {"texts": [1]}, {"texts": ["a"] * 201}, {"texts": None}])
def test_bodies_that_are_none(client, body):
    assert client.post("/api/v1/render", json=body).status_code == 422


def test_a_run_that_is_not_there_cannot_be_stopped(client):
    assert client.post("/api/v1/runs/7f0e9d1c-0000-4000-8000-000000000000/cancel").status_code == 404
    assert client.post("/api/v1/runs/../cancel").status_code in (404, 405, 422)
    assert client.post("/api/v1/runs/nothing/cancel").status_code == 422


def test_a_stream_tells_what_components_do_where_that_is_asked_for(client):
    plain = client.post("/api/v1/run/router?stream=sse", json={"input_value": "help"}).text
    told = client.post("/api/v1/run/router?stream=sse&vertices=true", json={"input_value": "help"}).text
    assert "event: vertex_" not in plain
    assert told.count("event: vertex_started") == told.count("event: vertex_finished") == 3
    assert '"untaken":["false_result"]' in told
