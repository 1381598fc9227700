"""A key that is limited to flows: it runs those, and that is all."""

import json
import uuid

import pytest
from sqlalchemy import update

from flowrunner import Component, Input, Output
from flowrunner.store.engine import writing
from flowrunner.store.keys import owner_of_user
from flowrunner.store.tables import api_keys
from tests.web.site import echo_flow, edge, flow_through, open_site

VARIABLE = {"name": "STORED", "value": "annsecret", "type": "Credential", "default_fields": []}


class RunOther(Component):
    """Run the flow that is named, as a component of a plugin may."""

    type_name = "RunOther"
    inputs = (Input("input_value"), Input("flow_name", type="str"))
    outputs = (Output("output"),)

    def run(self, context, /, *, input_value, flow_name):
        return {"output": context.run_flow(flow_name, "from within").text}


@pytest.fixture
def site(tmp_path):
    with open_site(tmp_path, plugins=[RunOther]) as made:
        made.add_user("ann")
        made.flow("ann", echo_flow("one"))
        made.flow("ann", echo_flow("other"))
        made.add_user("ann", "limited", flows=["one", "asks"])
        yield made


def streamed_run(site, flow):
    """Run a flow as a stream, and return the run's id: for a while it can be taken up, or cancelled."""
    answer = site.call("ann", "POST", f"/api/v1/run/{flow}?stream=sse", json={"input_value": "x", "session_id": flow})
    assert answer.status_code == 200 and answer.get_data()
    return site.ask("ann", "GET", f"/api/v1/runs?session_id={flow}")["items"][0]["id"]


def test_it_cancels_no_run_of_another_flow(site):
    one, other = streamed_run(site, "one"), streamed_run(site, "other")
    site.ask("limited", "POST", f"/api/v1/runs/{other}/cancel", 404)
    site.ask("limited", "POST", f"/api/v1/runs/{uuid.uuid4()}/cancel", 404)
    site.ask("limited", "POST", f"/api/v1/runs/{one}/cancel", 409)
    site.ask("ann", "POST", f"/api/v1/runs/{other}/cancel", 409)


@pytest.fixture
def paying(tmp_path, monkeypatch):
    """A server whose operator pays for two providers, with a flow that asks the one."""
    from flowrunner.testing.model_server import ModelServer

    pytest.importorskip("openai")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-openai-of-the-server")
    monkeypatch.setenv("GROQ_API_KEY", "gsk-groq-of-the-server")
    with ModelServer() as model, open_site(tmp_path, model_base_urls=f"all={model.url}") as made:
        made.model = model
        made.add_user("ann")
        template = {
            name: {"type": "str", "name": name, "value": value}
            for name, value in {"provider": "OpenAI", "model_name": "cheap", "api_key": ""}.items()
        }
        made.flow("ann", flow_through("LanguageModelComponent", template, output="text_output", name="one"))
        made.add_user("ann", "limited", flows=["one"])
        yield made


CHOICES = [
    {"provider": "Groq"},
    {"provider": "Groq", "model_name": "dearest"},
    {"model": [{"name": "dearest", "provider": "Groq"}]},
    {"provider": "Groq", "api_key": "GROQ_API_KEY"},
    {"provider": "Groq", "api_key": {"$variable": "GROQ_API_KEY"}},
]


@pytest.mark.parametrize("way", ["id", "name", "top"])
@pytest.mark.parametrize("choice", CHOICES, ids=range(len(CHOICES)))
def test_it_chooses_no_provider_that_the_server_pays(paying, choice, way):
    tweaks = (
        choice if way == "top" else {{"id": "LanguageModelComponent-m", "name": "LanguageModelComponent"}[way]: choice}
    )
    body = {"input_value": "hi", "session_id": "s", "tweaks": tweaks}
    answer = paying.call("limited", "POST", "/api/v1/run/one", json=body)
    assert "gsk-groq" not in answer.text
    assert "gsk-groq" not in str(paying.model.headers)
    if choice in CHOICES[:2]:
        # The same request with a key that is not limited brings it out: so it is the limit that keeps it.
        paying.call("ann", "POST", "/api/v1/run/one", json=body)
        assert "gsk-groq" in str(paying.model.headers)


def test_what_it_may_is_what_the_flow_chose_or_its_own_key(paying):
    body = {"input_value": "hi", "session_id": "s"}
    paying.ask("limited", "POST", "/api/v1/run/one", json=body)
    assert paying.model.headers[-1]["authorization"] == "Bearer sk-openai-of-the-server"
    chosen = {**body, "tweaks": {"LanguageModelComponent-m": {"provider": "Groq"}}}
    headers = {"X-LANGFLOW-GLOBAL-VAR-GROQ_API_KEY": "gsk-own"}
    paying.ask("limited", "POST", "/api/v1/run/one", json=chosen, headers=headers)
    assert paying.model.headers[-1]["authorization"] == "Bearer gsk-own"


def test_where_a_key_is_kept_back_it_is_said_what_to_do(tmp_path, monkeypatch):
    pytest.importorskip("openai")
    monkeypatch.setenv("GROQ_API_KEY", "gsk-groq-of-the-server")
    with open_site(tmp_path) as site:
        site.add_user("ann")
        site.flow("ann", flow_through("LanguageModelComponent", {}, output="text_output", name="one"))
        site.add_user("ann", "limited", flows=["one"])
        body = {"input_value": "hi", "tweaks": {"LanguageModelComponent-m": {"provider": "Groq", "model_name": "m"}}}
        refused = site.call("limited", "POST", "/api/v1/run/one", json=body).text
    assert "Groq, which the request chose, requires an API key" in refused
    assert "send a key with the request (header X-LANGFLOW-GLOBAL-VAR-GROQ_API_KEY)" in refused
    assert "or let the flow choose the provider" in refused


@pytest.mark.parametrize(
    "field",
    [{"type": "str", "value": {"$variable": "STORED"}}, {"type": "str", "value": "STORED", "load_from_db": True}],
)
def test_it_names_no_variable_by_changing_a_flow(site, field):
    site.ask("ann", "POST", "/api/v1/variables/", 201, json=VARIABLE)
    flow = next(f["id"] for f in site.ask("ann", "GET", "/api/v1/flows/") if f["name"] == "one")
    changed = flow_through("TextInput", {"input_value": field}, output="text", name="one")
    for verb in ("PATCH", "PUT"):
        site.ask("limited", verb, f"/api/v1/flows/{flow}", 403, json=changed)
    site.ask("limited", "POST", "/api/v1/flows/", 403, json={**changed, "name": "new"})
    assert "annsecret" not in json.dumps(site.say("limited", "one", "x"))


def test_it_reads_no_flow_but_its_name(site):
    flows = site.ask("limited", "GET", "/api/v1/flows/")
    assert [(flow["name"], flow["data"]) for flow in flows] == [("one", None)]
    site.ask("limited", "GET", f"/api/v1/flows/{flows[0]['id']}", 403)
    site.ask("limited", "POST", "/api/v1/flows/download/", 403, json=[flows[0]["id"]])


def test_a_flow_within_a_flow_is_the_authors_choice_and_not_the_requests(site):
    field = {"flow_name": {"type": "str", "value": "other"}}
    site.flow("ann", flow_through("RunOther", field, name="asks", field="input_value"))
    site.flow("ann", echo_flow("third"))
    assert "from within" in json.dumps(site.say("limited", "asks", "x"))
    body = {"input_value": "x", "tweaks": {"RunOther-m": {"flow_name": "third"}}}
    assert site.call("limited", "POST", "/api/v1/run/asks", json=body).status_code >= 400
    assert site.call("ann", "POST", "/api/v1/run/asks", json=body).status_code == 200
    assert "third" not in {m["flow_id"] for m in site.messages("limited")}


def test_an_admins_key_that_an_older_release_limited_sees_its_own_owner_only(site):
    """Such a key is refused today, so it is made an admin's in the database."""
    site.say("ann", "one", "words of ann", "private")
    run_id = site.ask("ann", "GET", "/api/v1/runs")["items"][0]["id"]
    flow_id = site.ask("ann", "GET", f"/api/v1/runs/{run_id}")["flow_id"]
    site.add_user("zed", flows=[flow_id])
    with writing(site.runner.engine) as connection:
        connection.execute(update(api_keys).where(api_keys.c.user_name == "zed").values(admin=True))
    for path in (
        "/api/v1/runs",
        "/api/v1/monitor/messages",
        "/api/v1/monitor/traces",
        "/api/v1/monitor/messages/sessions",
    ):
        answer = site.call("zed", "GET", path)
        assert not {run_id, "words of ann", "private"} & set(answer.text.split('"')), path
    site.ask("zed", "GET", f"/api/v1/runs/{run_id}", 404)
    site.ask("zed", "GET", f"/api/v1/runs/{run_id}/events", 404)
    for path in ("/api/v1/runs", "/api/v1/monitor/messages"):
        site.ask("zed", "GET", path, 403, headers={"X-Flowrunner-Owner": owner_of_user("ann")})


def test_the_api_makes_no_admins_key_that_is_limited(site):
    site.add_user("root", admin=True)
    body = {"name": "x", "user": "zed", "admin": True, "flows": ["one"]}
    assert "cannot be limited to flows" in str(site.ask("root", "POST", "/api/v1/api_key/", 400, json=body))


def test_it_sees_nothing_of_what_a_flow_is_made_of(site):
    partly = echo_flow("partly")
    partly["data"]["nodes"].append({"id": "Gone-x", "data": {"type": "NoSuchType", "node": {"template": {}}}})
    partly["data"]["edges"].append(edge("ChatInput-a", "message", "Gone-x", "text"))
    site.flow("ann", partly)
    site.add_user("ann", "talks", flows=["partly"])
    asking = {"run/partly": {"input_value": "x"}, "responses": {"model": "partly", "input": "x"}}
    for user, sees in (("ann", True), ("talks", False)):
        for path, body in asking.items():
            assert bool(site.ask(user, "POST", f"/api/v1/{path}", json=body).get("warnings")) is sees
    runs = site.ask("ann", "GET", "/api/v1/runs")["items"]
    for user, sees in (("ann", True), ("talks", False)):
        assert all(bool(run["warnings"]) is sees for run in site.ask(user, "GET", "/api/v1/runs")["items"])
        shown = site.ask(user, "GET", f"/api/v1/runs/{runs[0]['id']}")
        assert (bool(shown["warnings"]), bool(shown["vertices"])) == (sees, sees)
