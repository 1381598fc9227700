"""A page of another site cannot make a visitor's browser do anything here."""

from __future__ import annotations

import pytest
from flask import render_template_string
from flask_wtf import CSRFProtect

from flowrunner.extension import FlowRunner
from flowrunner.integrations import identity as recipes
from tests.embedding.sites import OWN, by_session, texts

RUN = "/assistant/api/v1/run/basic-chat"
QUIET = {"url_prefix": "/assistant", "memory": "in-memory", "run_log": False}


@pytest.fixture
def ann(client):
    client.post("/login/ann")
    return client


class TestWithoutAToken:
    @pytest.mark.parametrize(
        ("kind", "body"),
        [
            ("application/json", b'{"input_value": "x"}'),
            ("text/plain", b'{"input_value": "x", "a": "="}'),
            ("application/x-www-form-urlencoded", b"input_value=x"),
            ("multipart/form-data; boundary=b", b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\nx\r\n--b--'),
            ("", b'{"input_value": "x"}'),
            (None, b""),
        ],
    )
    def test_a_login_alone_changes_nothing(self, ann, kind, body):
        answer = ann.post(RUN, data=body, content_type=kind)
        assert (answer.status_code, answer.json["code"]) == (403, "csrf_missing")
        assert texts(ann, "x") == []

    def test_every_route_that_changes_something_asks(self, mounted, ann):
        rules = [rule for rule in mounted.url_map.iter_rules() if rule.endpoint.startswith("flowrunner.")]
        asked = set()
        for rule in rules:
            path = rule.rule
            for argument in rule.arguments:
                for converter in ("", "path:", "flowrunner_session:"):
                    path = path.replace(f"<{converter}{argument}>", "3fa85f64-5717-4562-b3fc-2c963f66afa6")
            for method in rule.methods - {"GET", "HEAD", "OPTIONS"}:
                if rule.endpoint.endswith(("nothing_here", "nothing_at_root")):
                    continue
                answer = ann.open(path, method=method, json={})
                assert (answer.status_code, answer.json["code"]) == (403, "csrf_missing"), (method, path)
                asked.add(rule.endpoint)
        assert {"flowrunner.run", "flowrunner.cancel_run", "flowrunner.delete_messages"} <= asked

    @pytest.mark.parametrize("header", [{"X-Flowrunner": "1"}, {"X-Requested-With": "XMLHttpRequest"}])
    def test_a_header_that_no_form_can_set(self, ann, header):
        assert ann.post(RUN, json={}, headers=header).status_code == 200

    @pytest.mark.parametrize("header", [{"X-Flowrunner": ""}, {"Origin": "http://localhost"}, {"Accept": "x"}])
    def test_other_headers_prove_nothing(self, ann, header):
        assert ann.post(RUN, json={}, headers=header).status_code == 403

    def test_reading_needs_no_proof(self, ann):
        assert texts(ann, "x") == []

    def test_who_is_not_logged_in_hears_that(self, client):
        assert client.post(RUN, json={}).json["code"] == "not_allowed"

    def test_a_name_and_password_are_sent_by_browsers_too(self, site):
        FlowRunner(site, identity=recipes.http_basic(lambda name, password: True), **QUIET)
        client = site.test_client()
        assert client.post(RUN, json={}, auth=("ann", "x")).json["code"] == "csrf_missing"
        assert client.post(RUN, json={}, auth=("ann", "x"), headers=OWN).status_code == 200


@pytest.fixture(params=["before", "after"])
def protected(site, request):
    """A site with Flask-WTF, set up before or after the runner."""
    csrf = CSRFProtect()
    if request.param != "after":
        csrf.init_app(site)
    FlowRunner(site, identity=by_session, **QUIET)
    if request.param == "after":
        csrf.init_app(site)
    site.view_functions["login"] = csrf.exempt(site.view_functions["login"])

    @site.get("/form")
    def form():
        return render_template_string("{{ csrf_token() }}")

    @site.post("/own")
    def own():
        return "done"

    return site


class TestWithFlaskWtf:
    @pytest.fixture
    def ann(self, protected):
        client = protected.test_client()
        client.post("/login/ann")
        return client

    def test_the_sites_token_in_a_header(self, ann):
        token = ann.get("/form").text
        assert ann.post(RUN, json={}, headers={"X-CSRFToken": token}).status_code == 200
        assert ann.post(RUN, json={}, headers={"X-CSRFToken": token[:-2] + "xx"}).json["code"] == "csrf_missing"

    def test_the_sites_token_in_a_form(self, ann):
        token = ann.get("/form").text
        answer = ann.post("/assistant/api/v1/run/basic-chat", data={"csrf_token": token, "input_value": "x"})
        assert answer.json.get("code") != "csrf_missing"

    def test_a_header_is_enough(self, ann):
        assert ann.post(RUN, json={}, headers=OWN).status_code == 200

    def test_a_token_of_somebody_else_is_none(self, ann, protected):
        other = protected.test_client().get("/form").text
        assert ann.post(RUN, json={}, headers={"X-CSRFToken": other}).json["code"] == "csrf_missing"

    def test_an_api_key_needs_no_token(self, protected):
        answer = protected.test_client().post(RUN, json={}, headers={"x-api-key": "wrong"})
        assert (answer.status_code, answer.json["code"]) == (403, "not_allowed")

    def test_the_sites_own_forms_are_protected_as_before(self, ann):
        assert ann.post("/own").status_code == 400
        assert ann.post("/own", headers=OWN).status_code == 400
        assert ann.post("/own", data={"csrf_token": ann.get("/form").text}).text == "done"


class TestPages:
    def test_no_answer_of_ours_leads_elsewhere(self, mounted, ann):
        for path in (
            "/assistant//evil.example",
            "/assistant//evil.example/%2e%2e",
            "/assistant/\\evil.example",
            "//assistant/x",
            "/assistant/?next=//evil.example",
            "/assistant?url=https://evil.example",
            "/assistant/%2f%2fevil.example",
            "/assistant/api/v1/flows",
            "/assistant/playground?next=//evil.example",
            "/assistant//",
            "/assistant/.",
        ):
            answer = ann.get(path)
            assert answer.status_code < 300 or answer.status_code >= 400, (path, answer.headers)
            assert "Location" not in answer.headers

    def test_answers_cannot_be_framed_sniffed_or_cached(self, ann):
        for path in ("/assistant/api/v1/monitor/messages", "/assistant/nothing", "/assistant/health"):
            headers = ann.get(path).headers
            assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Cache-Control"] == "no-store"

    def test_pages_cannot_be_framed(self, site):
        FlowRunner(site, identity=by_session, playground=True, **QUIET)
        page = site.test_client().get("/assistant/playground")
        if page.mimetype == "text/html":
            assert page.headers["X-Frame-Options"] == "DENY"
            assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
