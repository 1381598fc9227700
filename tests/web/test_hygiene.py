"""What every answer carries, and which requests are looked at."""

import json
import logging

import pytest
from flask import Flask

from flowrunner import Component, Input, Message, Output
from flowrunner.extension import FlowRunner
from flowrunner.telemetry.correlation import REQUEST_ID
from flowrunner.telemetry.logs import JsonFormatter, TextFormatter
from flowrunner.web.headers import TrustedHosts
from tests.waiting import wait_until
from tests.web.site import flow_through

EVERYWHERE = (
    (None, "GET", "/health"),
    ("ann", "GET", "/api/v1/monitor/messages"),
    (None, "GET", "/api/v1/monitor/messages"),
    ("ann", "GET", "/api/v1/monitor/messages?limit=x"),
    ("ann", "GET", "/nowhere"),
    ("ann", "PATCH", "/api/v1/monitor/messages"),
    ("ann", "DELETE", "/api/v1/monitor/messages/session/x"),
)


def test_every_answer_is_data_to_a_browser(site):
    for user, method, path in EVERYWHERE:
        headers = site.call(user, method, path).headers
        assert headers["X-Content-Type-Options"] == "nosniff", path
        assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert headers["Cache-Control"] == "no-store"
        assert len(headers.getlist("X-Request-Id")) == 1 and headers["X-Request-Id"]


def test_a_request_keeps_the_id_that_it_brings(site):
    given = {"X-Request-Id": "abc-1.2:3_x"}
    assert site.call("ann", "GET", "/health", headers=given).headers["X-Request-Id"] == "abc-1.2:3_x"
    for wrong in ("a b", "x" * 129, "", "é"):
        answer = site.call("ann", "GET", "/health", environ_overrides={"HTTP_X_REQUEST_ID": wrong})
        assert answer.headers["X-Request-Id"] not in (wrong, "")
    ids = {site.call("ann", "GET", "/health").headers["X-Request-Id"] for _ in range(50)}
    assert len(ids) == 50


def test_a_host_keeps_its_own_answers(tmp_path):
    app = Flask("host")
    app.add_url_rule("/own", view_func=lambda: "mine")
    runner = FlowRunner(
        url_prefix="/ai", data_dir=tmp_path, memory="in-memory", cors_origins="https://x.example", trusted_hosts="ai"
    ).init_app(app)
    try:
        client = app.test_client()
        for path, status in (("/own", 200), ("/elsewhere", 404)):
            answer = client.get(path, headers={"Origin": "https://x.example"})
            assert answer.status_code == status
            ours = ("X-Request-Id", "Content-Security-Policy", "Access-Control-Allow-Origin", "X-Content-Type-Options")
            assert not any(name in answer.headers for name in ours) and not answer.is_json
        assert client.get("/ai/health_check").status_code == 400
        assert client.get("/ai/health_check", base_url="http://ai").status_code == 200
        assert client.get("/ai/health").status_code == 200
    finally:
        runner.close()


@pytest.fixture
def listed(make_site):
    site = make_site(cors_origins="https://one.example,http://localhost:3000")
    site.add_user("ann")
    return site


def test_no_origin_may_call_unless_it_is_listed(site, listed):
    for asked, origin in ((site, "https://one.example"), (listed, "https://two.example"), (listed, "null")):
        for user, method, path in EVERYWHERE:
            headers = asked.call(user if user == "ann" else None, method, path, headers={"Origin": origin}).headers
            assert "Access-Control-Allow-Origin" not in headers


def test_a_listed_origin_may_read_every_answer(listed):
    for user, method, path in EVERYWHERE:
        headers = listed.call(user, method, path, headers={"Origin": "https://one.example"}).headers
        assert headers["Access-Control-Allow-Origin"] == "https://one.example", path
        assert "X-Next-Cursor" in headers["Access-Control-Expose-Headers"]
        assert "Access-Control-Allow-Credentials" not in headers
        assert headers["Vary"] == "Origin"
    assert listed.call("ann", "GET", "/health").headers["Vary"] == "Origin"


def test_a_preflight_is_answered_without_a_key(listed):
    asked = {
        "Origin": "http://localhost:3000",
        "Access-Control-Request-Method": "DELETE",
        "Access-Control-Request-Headers": "x-api-key, content-type, x-langflow-global-var-a_b",
    }
    for path in ("/api/v1/monitor/messages", "/api/v1/run/x", "/api/v1/monitor/messages/session/a%2Fb"):
        answer = listed.call(None, "OPTIONS", path, headers=asked)
        assert answer.status_code == 204
        assert answer.headers["Access-Control-Allow-Origin"] == "http://localhost:3000"
        assert "DELETE" in answer.headers["Access-Control-Allow-Methods"]
        assert answer.headers["Access-Control-Allow-Headers"] == asked["Access-Control-Request-Headers"]
    foreign = listed.call(None, "OPTIONS", "/api/v1/run/x", headers={**asked, "Origin": "https://two.example"})
    assert not any(name.startswith("Access-Control") for name, _ in foreign.headers)
    odd = listed.call(None, "OPTIONS", "/x", headers={**asked, "Access-Control-Request-Headers": "a\tb: c"})
    assert "Access-Control-Allow-Headers" not in odd.headers


def test_every_origin_may_call_where_a_star_is_listed(make_site):
    site = make_site(cors_origins="*")
    headers = site.call(None, "GET", "/health", headers={"Origin": "https://any.example"}).headers
    assert headers["Access-Control-Allow-Origin"] == "*" and "Vary" not in headers


def test_a_foreign_host_is_refused(make_site):
    site = make_site(trusted_hosts="api.example,.sub.example")
    site.add_user("ann")
    for host, status in (
        ("api.example", 200),
        ("api.example:8080", 200),
        ("a.sub.example", 200),
        ("evil.example", 400),
    ):
        answer = site.call("ann", "GET", "/api/v1/version", base_url=f"http://{host}")
        assert answer.status_code == status, host
    assert answer.get_json()["code"] == "host_not_trusted"


@pytest.mark.parametrize(
    ("host", "trusted"),
    [
        ("one.example", True),
        ("ONE.Example.", True),
        ("one.example:80", True),
        ("below.two.example", True),
        ("two.example", True),
        ("[::1]:80", True),
        ("[::1]", True),
        ("xone.example", False),
        ("one.example.evil", False),
        ("xtwo.example", False),
        ("", False),
        ("[::2]", False),
        ("one.example@evil", False),
    ],
)
def test_hosts_are_compared_by_name(host, trusted):
    assert TrustedHosts(["one.example:443", ".two.example", "[::1]"]).trusts(host) is trusted


@pytest.fixture
def heard():
    """Lines that were logged, as the stand-alone app writes them."""
    lines = []

    class Keep(logging.Handler):
        def emit(self, record):
            lines.append((JsonFormatter().format(record), TextFormatter("%(message)s").format(record)))

    handler, logger = Keep(), logging.getLogger("flowrunner")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield lines
    logger.removeHandler(handler)
    logger.setLevel(before)


def test_the_access_log_has_a_line_per_request_and_no_secret(make_site, heard):
    site = make_site(access_log=True, key_in_query=True)
    site.add_user("ann")
    key = site.keys["ann"]
    heard.clear()
    site.call("ann", "GET", "/api/v1/monitor/messages?session_id=private&q=words")
    site.call(None, "GET", f"/api/v1/monitor/messages?x-api-key={key}")
    site.call("ann", "DELETE", f"/api/v1/monitor/messages/session/{key}")
    site.call("ann", "DELETE", "/api/v1/monitor/messages/session/a%0Ab%20c")
    site.call(None, "GET", "/api/v1/runs")
    assert len(heard) == 5
    shown = [json.loads(line) for line, _ in heard]
    assert [(s["method"], s["status"]) for s in shown] == [
        ("GET", 200),
        ("GET", 200),
        ("DELETE", 204),
        ("DELETE", 204),
        ("GET", 403),
    ]
    assert all(s["logger"] == "flowrunner.access" and s["request_id"] and s["milliseconds"] >= 0 for s in shown)
    assert shown[0]["owner"] and shown[4]["owner"] is None
    everything = json.dumps(heard)
    assert key not in everything and "private" not in everything and "words" not in everything
    assert all("\n" not in text for _, text in heard)


def test_what_a_client_wrote_begins_no_line_of_its_own(heard):
    token = REQUEST_ID.set("r1")
    logging.getLogger("flowrunner").warning("said %s", "a\nINJECTED line")
    REQUEST_ID.reset(token)
    assert heard[-1][1] == "said a\\nINJECTED line [r1]"


def test_errors_are_logged_with_the_id_of_their_request(make_site, heard, monkeypatch):
    site = make_site()
    site.add_user("ann")
    heard.clear()
    monkeypatch.setattr(site.runner.memory, "operations", None)
    answer = site.call("ann", "GET", "/api/v1/monitor/messages", headers={"X-Request-Id": "find-me"})
    assert answer.status_code == 500 and answer.get_json() == {
        "detail": "Internal Server Error",
        "code": "internal_error",
    }
    assert json.loads(heard[-1][0])["request_id"] == "find-me"
    monkeypatch.undo()


class Noter(Component):
    """Writes a line into the log, on whatever thread it runs."""

    type_name = "Noter"
    blocking = True
    inputs = (Input("text"),)
    outputs = (Output("output"),)

    def run(self, context, /, *, text):
        logging.getLogger("flowrunner").warning("noted")
        return {"output": Message(text="noted")}


@pytest.mark.parametrize(
    "path", ["run/through", "run/through?stream=true", "run/through?stream=sse", "webhook/through"]
)
def test_what_a_run_logs_has_the_id_of_its_request_on_any_thread(make_site, heard, path):
    site = make_site(plugins=[Noter])
    site.add_user("ann")
    site.ask("ann", "POST", "/api/v1/flows/", 201, json=flow_through("Noter", {"text": {"value": ""}}, field="text"))
    heard.clear()
    headers = {"X-Request-Id": f"find-me-{len(path)}"}
    answer = site.call("ann", "POST", f"/api/v1/{path}", headers=headers, json={"input_value": "x"})
    assert answer.status_code in (200, 202)
    assert answer.get_data()
    assert wait_until(lambda: [line for line, _ in heard if json.loads(line)["message"] == "noted"])
    (noted,) = [json.loads(line) for line, _ in heard if json.loads(line)["message"] == "noted"]
    assert noted["request_id"] == headers["X-Request-Id"]
