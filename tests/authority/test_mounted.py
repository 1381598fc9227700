"""A mounted site: its visitors and users talk, and nothing else, unless the site says so."""

import json

import pytest
from flask import Flask

from flowrunner import FlowRunner, Identity
from flowrunner.errors import FlowNotFound, SettingsInvalid
from flowrunner.integrations import identity as recipes
from flowrunner.site.current import get_runner
from flowrunner.web.routes import MORE

OWN = {"X-Flowrunner": "1"}
STEALING = {
    "name": "steal",
    "components": {
        "q": {"type": "ChatInput"},
        "m": {"type": "LanguageModelComponent", "settings": {"provider": "OpenAI", "base_url": "http://evil.test/v1"}},
        "a": {"type": "ChatOutput"},
    },
    "edges": ["q.message -> m.input_value", "m.text_output -> a.input_value"],
}
#: What is there besides what talking needs, and a request for each part.
PARTS = {
    "flows": ("GET", "/api/v1/flows/"),
    "variables": ("GET", "/api/v1/variables/"),
    "files": ("GET", "/api/v2/files/"),
    "keys": ("GET", "/api/v1/api_key/"),
    "monitor": ("GET", "/api/v1/runs"),
    "webhook": ("POST", "/api/v1/webhook/echo"),
    "openapi": ("GET", "/openapi.json"),
}


def by_header(request):
    """Know people by a header; the one called author may author, the one called root is an admin."""
    name = request.headers.get("X-User")
    return Identity(name, author=name == "author", admin=name == "root") if name else None


@pytest.fixture
def mount(tmp_path):
    """A function that mounts a runner in a site and returns a client of it."""
    folder = tmp_path / "flows"
    folder.mkdir()
    echo = '{"name": "%s", "components": {"q": {"type": "ChatInput"}, "a": {"type": "ChatOutput"}},'
    for name in ("echo", "acme", "umbrella"):
        (folder / f"{name}.json").write_text(echo % name + ' "edges": ["q.message -> a.input_value"]}')
    made = []

    def do_mount(**arguments):
        app = Flask("site", instance_path=str(tmp_path / "instance"), root_path=str(tmp_path))
        app.secret_key = "secret"
        app.testing = True
        settings = {"identity": by_header, "memory": "in-memory", "flows_dir": str(folder), **arguments}
        FlowRunner(app, url_prefix="/assistant", **settings)
        made.append(app)
        return app.test_client()

    yield do_mount
    for app in made:
        app.extensions["flowrunner"]["flowrunner"].close()


def ask(client, method, path, user=None, **more):
    headers = {**OWN, **({"X-User": user} if user else {})}
    return client.open(f"/assistant{path}", method=method, headers=headers, **more)


def run(client, flow, user=None):
    return ask(client, "POST", f"/api/v1/run/{flow}", user, json={"input_value": "hello"}).status_code


@pytest.mark.parametrize("part", PARTS)
def test_a_part_of_the_api_is_there_where_the_site_asks_for_it(mount, part):
    method, path = PARTS[part]
    usual, asked = mount(), mount(api=[part])
    assert ask(usual, method, path, "author", json={}).status_code == 404
    assert ask(asked, method, path, "author", json={} if method == "POST" else None).status_code in (200, 202)
    assert set(PARTS) == set(MORE)


def test_all_of_the_api_and_none_of_it(mount):
    everything, nothing = mount(api=True), mount(api="none")
    for method, path in PARTS.values():
        assert ask(everything, method, path, "author", json={} if method == "POST" else None).status_code < 300
        assert ask(nothing, method, path, "author", json={}).status_code == 404
    with pytest.raises(SettingsInvalid, match="unknown part flow;"):
        mount(api=["flow"])


@pytest.mark.parametrize("user", [None, "ann", "root"], ids=["visitor", "user", "admin"])
def test_who_is_known_to_the_site_authors_nothing(mount, user):
    client = mount(api=True, identity=recipes.first_of(by_header, recipes.visitors()))
    assert run(client, "echo", user) == 200
    for method, path in (
        ("POST", "/api/v1/flows/"),
        ("POST", "/api/v1/flows/batch/"),
        ("POST", "/api/v1/flows/upload/"),
        ("POST", "/api/v1/flows/download/"),
        ("PUT", "/api/v1/flows/3fa85f64-5717-4562-b3fc-2c963f66afa6"),
        ("GET", "/api/v1/flows/3fa85f64-5717-4562-b3fc-2c963f66afa6"),
        ("POST", "/api/v1/variables/"),
        ("POST", "/api/v1/api_key/"),
        ("GET", "/api/v1/monitor/builds?flow_id=3fa85f64-5717-4562-b3fc-2c963f66afa6"),
    ):
        answer = ask(client, method, path, user, json=STEALING if method in ("POST", "PUT") else None)
        assert (answer.status_code, answer.json["code"]) == (403, "not_allowed"), (method, path)
    listed = ask(client, "GET", "/api/v1/flows/", user).json
    assert {flow["name"] for flow in listed} == {"echo", "acme", "umbrella"}
    assert all(flow["data"] is None for flow in listed)


def test_the_site_says_who_authors(mount):
    client = mount(api=True)
    made = ask(client, "POST", "/api/v1/flows/", "author", json={**STEALING, "name": "mine"})
    assert made.status_code == 201
    assert ask(client, "GET", f"/api/v1/flows/{made.json['id']}", "author").status_code == 200


def test_what_somebody_made_before_counts_no_more_once_they_may_not_author(mount, tmp_path):
    client = mount(api=True)
    runner = client.application.extensions["flowrunner"]["flowrunner"]
    made = runner.stores.flows.create("ann", {**STEALING, "name": "old", "endpoint_name": "old"})
    assert run(client, "old", "ann") == run(client, made.id, "ann") == 404
    assert made.id not in {flow["id"] for flow in ask(client, "GET", "/api/v1/flows/", "ann").json}


def a_flow_per_customer(identity, flow):
    return flow.endpoint_name in ("echo", identity.id)


@pytest.mark.parametrize(
    ("flows", "reach"),
    [
        (None, {"acme": {"echo", "acme", "umbrella"}, "umbrella": {"echo", "acme", "umbrella"}}),
        (["echo"], {"acme": {"echo"}, "umbrella": {"echo"}}),
        ("echo,acme", {"acme": {"echo", "acme"}, "umbrella": {"echo", "acme"}}),
        ([], {"acme": set(), "umbrella": set()}),
        (a_flow_per_customer, {"acme": {"echo", "acme"}, "umbrella": {"echo", "umbrella"}}),
    ],
    ids=["all", "one", "words", "none", "function"],
)
def test_the_site_says_which_flows_it_offers(mount, flows, reach):
    client = mount(flows=flows, api=["flows", "webhook"])
    for user, wanted in reach.items():
        assert {flow["name"] for flow in ask(client, "GET", "/api/v1/flows/", user).json} == wanted
        for flow in ("echo", "acme", "umbrella"):
            expected = 200 if flow in wanted else 404
            assert run(client, flow, user) == expected
            body = {"model": flow, "input": "x"}
            assert ask(client, "POST", "/api/v1/responses", user, json=body).status_code == expected
            hook = ask(client, "POST", f"/api/v1/webhook/{flow}", user, json={"x": 1}).status_code
            assert hook == (202 if flow in wanted else 404)


def test_the_sites_own_code_runs_what_it_names_for_whom_it_names(mount):
    app = mount(flows=["echo"]).application
    with app.test_request_context("/", headers={"X-User": "ann"}):
        bound = get_runner()
        assert bound.run("echo", "x").text == "x"
        # In the name of the sender, what is offered to the sender counts; whom the code names it answers for.
        with pytest.raises(FlowNotFound):
            bound.run("acme", "x")
        assert bound.run("acme", "x", identity="ann").text == "x"


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ("", {"output_type": "debug"}),
        ("", {"output_component": "p"}),
        ("?stream=true", {"output_type": "debug"}),
        ("?stream=sse&vertices=true", {"output_type": "debug"}),
    ],
)
def test_what_passes_through_components_is_told_to_authors_alone(mount, tmp_path, query, body):
    flow = {
        "name": "prompted",
        "components": {
            "q": {"type": "ChatInput"},
            "p": {"type": "Prompt", "settings": {"template": "OPERATORS OWN WORDS {question}"}},
            "a": {"type": "ChatOutput"},
        },
        "edges": ["q.message -> p.question", "q.message -> a.input_value"],
    }
    (tmp_path / "flows" / "prompted.json").write_text(json.dumps(flow))
    client = mount()
    keys = client.application.extensions["flowrunner"]["flowrunner"].stores.keys
    limited = {**OWN, "x-api-key": keys.create("ann", flows=["prompted"])}
    path, sent = f"/assistant/api/v1/run/prompted{query}", {"input_value": "hello", **body}
    for headers, told in (({**OWN, "X-User": "ann"}, False), (limited, False), ({**OWN, "X-User": "author"}, True)):
        answer = client.post(path, json=sent, headers=headers)
        assert answer.status_code == 200 and ("OPERATORS OWN WORDS" in answer.text) is told, headers


@pytest.mark.parametrize("flows", [7, b"echo", 1.5])
def test_flows_that_mean_nothing_are_refused(flows):
    with pytest.raises(SettingsInvalid, match="flows="):
        FlowRunner(flows=flows)


@pytest.mark.parametrize("recipe", [recipes.visitors(), recipes.first_of(by_header, recipes.visitors())])
def test_visitors_without_a_secret_key_are_refused_at_mounting(tmp_path, recipe):
    app = Flask("site", instance_path=str(tmp_path))
    with pytest.raises(SettingsInvalid, match="SECRET_KEY"):
        FlowRunner(app, identity=recipe, memory="in-memory")
    assert "flowrunner" not in app.blueprints


@pytest.mark.parametrize(
    ("config", "wanted", "unwanted"),
    [
        ({}, "SameSite=Lax", "Secure"),
        ({"SESSION_COOKIE_SAMESITE": "Strict"}, "SameSite=Strict", "Lax"),
        ({"SESSION_COOKIE_SAMESITE": "None", "SESSION_COOKIE_SECURE": True}, "Secure", "Lax"),
        ({"SESSION_COOKIE_DOMAIN": "site.test"}, "Domain=site.test", "Secure"),
    ],
    ids=["nothing", "strict", "none", "domain"],
)
def test_the_cookie_of_visitors_is_as_strict_as_the_sites(mount, config, wanted, unwanted):
    client = mount(identity=recipes.visitors())
    client.application.config.update(config)
    answer = ask(client, "POST", "/api/v1/run/echo", json={"input_value": "x"})
    cookie = answer.headers["Set-Cookie"]
    assert wanted in cookie and unwanted not in cookie and "HttpOnly" in cookie


def test_a_route_that_says_nothing_of_who_may_use_it_is_not_mounted(tmp_path, monkeypatch):
    from flowrunner.site import mounting

    def forgetful(*args, **more):
        blueprint = make_blueprint(*args, **more)
        blueprint.add_url_rule("/api/v1/everything", "everything", lambda: "all of it")
        return blueprint

    make_blueprint = mounting.make_blueprint
    monkeypatch.setattr(mounting, "make_blueprint", forgetful)
    app = Flask("site", instance_path=str(tmp_path))
    with pytest.raises(SettingsInvalid, match="/api/v1/everything does not declare which permission"):
        FlowRunner(app, identity=by_header, memory="in-memory")
