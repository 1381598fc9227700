"""A limit on what a run is asked holds for every way to ask for one, before anything is streamed or stored."""

import pytest
from flask import Flask, Response

from flowrunner import FlowRunner, Identity, current_runner
from flowrunner.authority import RUN
from flowrunner.errors import RequestInvalid
from tests.project.expected import declared_routes
from tests.waiting import wait_until
from tests.web.site import echo_flow

MOST = 100
FORM = {"content_type": "multipart/form-data"}

#: Ways to ask for a run over HTTP: the route's name, the query, and what a text is sent as.
DOORS = {
    "run": ("run", "", lambda text: {"json": {"input_value": text}}),
    "tweak": ("run", "", lambda text: {"json": {"tweaks": {"ChatInput-a": {"input_value": text}}}}),
    "wrapped": ("run", "", lambda text: {"json": {"input_request": {"input_value": text}}}),
    "variables": (
        "run",
        "",
        lambda text: {"json": {"input_request": {"input_value": ""}, "context": {"request_variables": {"A": text}}}},
    ),
    "form": ("run", "", lambda text: {"data": {"input_value": text}, **FORM}),
    "lines": ("run", "stream=true", lambda text: {"json": {"input_value": text}}),
    "sse": ("run", "stream=sse", lambda text: {"json": {"input_value": text}}),
    "background": ("run", "background=true", lambda text: {"json": {"input_value": text}}),
    "responses": ("responses", "", lambda text: {"json": {"model": "echo", "input": text}}),
    "responses-stream": ("responses", "", lambda text: {"json": {"model": "echo", "input": text, "stream": True}}),
    "webhook": ("webhook", "", lambda text: {"json": {"x": text}}),
}
ROUTES = {route.name: route.shown_rule.replace("{flow}", "echo") for route in declared_routes()}


@pytest.fixture
def limited(make_site):
    site = make_site(max_input=MOST)
    site.add_user("ann")
    site.flow("ann", echo_flow())
    return site


def test_every_route_that_runs_something_is_tried_here():
    running = {route.name for route in declared_routes() if route.needs == RUN} - {"cancel_run"}
    assert {name for name, _, _ in DOORS.values()} == running


@pytest.mark.parametrize("door", list(DOORS))
def test_too_long_an_input_is_refused_before_anything_begins(limited, door):
    name, query, sent = DOORS[door]
    answer = limited.call("ann", "POST", f"{ROUTES[name]}?{query}", **sent("x" * (MOST + 1)))
    assert answer.status_code == 422 and answer.is_json
    assert f"one run may have {MOST} (FLOWRUNNER_MAX_INPUT)" in answer.get_data(as_text=True)
    assert limited.messages("ann") == []
    assert limited.ask("ann", "GET", "/api/v1/runs")["items"] == []


@pytest.mark.parametrize("door", list(DOORS))
def test_an_input_within_the_limit_is_run(limited, door):
    name, query, sent = DOORS[door]
    answer = limited.call("ann", "POST", f"{ROUTES[name]}?{query}", **sent("x" * (MOST - 60)))
    assert answer.status_code in (200, 202)
    assert answer.get_data()
    items = wait_until(lambda: limited.ask("ann", "GET", "/api/v1/runs?status=success")["items"])
    assert len(items) == 1


def test_it_holds_for_what_a_site_runs_itself_and_for_its_chat_box(tmp_path):
    app = Flask("site", instance_path=str(tmp_path))
    app.config["TESTING"] = True
    folder = tmp_path / "flows"
    folder.mkdir()
    (folder / "echo.json").write_text(app.json.dumps(echo_flow()))
    FlowRunner(app, identity=lambda request: Identity("ann"), memory="in-memory", flows_dir=str(folder), max_input=MOST)

    @app.get("/say/<text>")
    def say(text):
        return current_runner.run("echo", text).text

    @app.get("/stream/<text>")
    def stream(text):
        return Response(current_runner.stream("echo", text))

    client = app.test_client()
    for path in ("say", "stream"):
        assert client.get(f"/{path}/hello").text == "hello"
        with pytest.raises(RequestInvalid, match="MAX_INPUT"):
            client.get(f"/{path}/{'x' * (MOST + 1)}")
    chat = {"path": "/flowrunner/api/v1/run/echo?stream=sse", "headers": {"X-Flowrunner": "1"}}
    assert client.post(**chat, json={"input_value": "hello"}).status_code == 200
    assert client.post(**chat, json={"input_value": "x" * (MOST + 1)}).status_code == 422


def test_without_the_setting_the_body_alone_is_bounded(site):
    site.flow("ann", echo_flow())
    assert site.say("ann", "echo", "x" * 100_000)["outputs"]
