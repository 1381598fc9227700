"""A flow is shown without its secrets to everybody but its own author; flows of folders to nobody as they are."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowrunner.components import Component, Input
from flowrunner.store.credentials import MASK
from flowrunner.store.flowmask import mask_graph
from flowrunner.store.keys import owner_of_user
from tests.web.site import open_site

SECRET = "Zq8Lm4Xv-hunter2"


def field(value, **more):
    return {"type": "str", "value": value, "show": True, "advanced": False, **more}


#: By what it is a secret, and a field of a component with one.
FIELDS = {
    "its name": ("api_key", field(SECRET)),
    "a name that ends so": ("openai_api_key", field(SECRET)),
    "its flag": ("ordinary", field(SECRET, password=True)),
    "its kind": ("ordinary", field(SECRET, _input_type="SecretStrInput")),
    "its component": ("passcode", field(SECRET)),
    "a flag on what reads a variable": ("api_key", field(SECRET, load_from_db=True)),
    "a number": ("password", field(int("4711" * 4))),
    "a table of headers": ("headers", field([{"key": "X-Shop", "value": SECRET}, {"key": "Accept", "value": "x/y"}])),
    "a table of other words": ("headers", field([{"name": "X-Shop", "value": SECRET}])),
    "headers as an object": ("headers", field({"X-Shop": SECRET})),
    "headers as pairs": ("headers", field([["X-Shop", SECRET]])),
    "headers as text": ("extra_headers", field(f"Accept: x\nX-Shop: {SECRET}")),
    "an environment": ("env", field({"PLACE": SECRET})),
    "an environment as rows": ("env", field([{"key": "PLACE", "value": SECRET}])),
    "an environment as lines": ("env", field([f"PLACE={SECRET}"])),
    "an environment of a server": ("mcp_server", field({"name": "x", "config": {"env": {"PLACE": SECRET}}})),
    "a server as a text of JSON": (
        "mcp_server",
        field(f'{{"name": "x", "config": {{"env": {{"PLACE": "{SECRET}"}}, "args": ["--token", "{SECRET}"]}}}}'),
    ),
    "JSON behind an empty line": ("mcp_server", field(f'\n {{"config": {{"env": {{"PLACE": "{SECRET}"}}}}}}')),
    "JSON behind a byte order mark": ("mcp_server", field(f'\ufeff{{"env": {{"PLACE": "{SECRET}"}}}}')),
    "JSON in which a name stands twice": ("mcp_server", field(f'{{"env": {{"PLACE": "{SECRET}"}}, "env": {{}}}}')),
    "JSON of any length": ("mcp_server", field(f'{{"x": "{"x " * 100_000}", "env": {{"PLACE": "{SECRET}"}}}}')),
    "JSON of any depth": ("ordinary", field(f'{{"env": {{"A": "{SECRET}"}}, "x": {"[" * 5000}{"]" * 5000}}}')),
    "JSON with half a character": ("mcp_server", field(f'{{"env": {{"A": "{SECRET}"}}, "x": "\\ud800"}}')),
    "a list as a text of JSON": ("ordinary", field(f'[{{"key": "token", "value": "{SECRET}"}}]')),
    "JSON in a text of JSON": ("ordinary", field(json.dumps({"x": json.dumps({"headers": {"X-Shop": SECRET}})}))),
    "an option": ("mcp_server", field({"config": {"command": "npx", "args": ["-y", "x", "--token", SECRET]}})),
    "an option with its value": ("mcp_server", field({"config": {"args": ["-y", "x", f"--api-key={SECRET}"]}})),
    "an option of one dash": ("args", field(["x", "-password", SECRET, "-v"])),
    "an option for the environment": ("args", field(["run", "-e", f"PLACE={SECRET}", "image"])),
    "an option for a header": ("args", field(["remote", "--header", f"X-Shop: {SECRET}", "-v"])),
    "a number as an option": ("args", field(["x", "--password", int("4711" * 4), "-v"])),
    "an option in a command": ("command", field(f"npx x --db-password '{SECRET} {SECRET}' -v")),
    "a value in a command": ("command", field(f"npx x --pat={SECRET}")),
    "cookies": ("cookies", field({"shop": SECRET})),
    "a row of parameters": ("query_params", field([{"key": "token", "value": SECRET}])),
    "an object of parameters": ("body", field({"client_secret": SECRET})),
    "a password in an address": ("url", field(f"https://ann:{SECRET}@host/path")),
    "a user in an address": ("url", field(f"https://{SECRET}@host/path")),
    "a parameter of an address": ("url", field(f"https://host/path?access_token={SECRET}")),
    "a list of addresses": ("urls", field(["https://host/", f"https://ann:{SECRET}@host/"])),
    "a connection": ("database_url", field(f"postgresql://shop:{SECRET}@db/shop")),
    "a curl command": ("curl_input", field(f"curl -H 'X-Shop: {SECRET}' https://host/")),
    "a login for curl": ("curl_input", field(f"curl -u ann:{SECRET} https://host/")),
    "a prompt": ("template", field(f"Use the header Authorization: Bearer {SECRET} and be kind.")),
    "a shape": ("template", field(f"sk-{SECRET * 2}")),
    "code": ("code", {**field(f'PASSWORD = "{SECRET}"\nprint(token)'), "type": "code"}),
    "another member of a field": ("ordinary", field("", placeholder=f"api_key={SECRET}")),
}


def langflow(name, template):
    node = {"id": "X-1", "data": {"id": "X-1", "type": "Vault", "node": {"template": {name: template}}}}
    return {"nodes": [node], "edges": []}


def native(**component):
    return {"components": {"x": {"type": "Vault", **component}}, "edges": []}


def declared(kind):
    return frozenset({"passcode"}) if kind == "Vault" else frozenset()


@pytest.mark.parametrize("why", FIELDS)
def test_a_secret_is_hidden_by(why):
    name, template = FIELDS[why]
    grouped = {"nodes": [{"data": {"node": {"flow": {"data": langflow(name, template)}}}}]}
    for graph in (langflow(name, template), grouped):
        before = json.dumps(graph)
        shown = json.dumps(mask_graph(graph, declared))
        assert SECRET not in shown and "4711" not in shown and json.dumps(graph) == before
    kept = mask_graph(langflow(name, template), declared)["nodes"][0]["data"]["node"]["template"][name]
    assert json.dumps(kept, ensure_ascii=False).encode()
    assert kept.keys() == template.keys() and kept["type"] == template["type"] and kept["show"] is True


@pytest.mark.parametrize(
    "component",
    [
        {"settings": {"api_key": SECRET}},
        {"settings": {"passcode": SECRET}},
        {"settings": {"ordinary": SECRET}, "secrets": ["ordinary"]},
        {"settings": {"headers": [{"key": "X-Shop", "value": SECRET}]}},
        {"settings": {"headers": {"X-Shop": SECRET}}},
        {"hidden": {"token": SECRET}},
        {"settings": {"url": f"https://ann:{SECRET}@host/"}},
        {"settings": {"body": [{"key": "password", "value": SECRET}]}},
    ],
    ids=json.dumps,
)
def test_a_secret_of_the_native_form_is_hidden(component):
    assert SECRET not in json.dumps(mask_graph(native(**component), declared))


@pytest.mark.parametrize(
    "graph",
    [
        native(settings={"api_key": {"$variable": "OPENAI_API_KEY"}, "headers": {"X": {"$variable": "SHOP_KEY"}}}),
        native(
            settings={"headers": [{"key": "Accept", "value": "text/html"}], "max_tokens": 100, "url": "https://h/p"}
        ),
        native(
            settings={
                "args": [
                    "-y",
                    "server",
                    "--verbose",
                    "--root",
                    "/srv",
                    "--token",
                    {"$variable": "A_TOKEN"},
                    "-e",
                    "HOME",
                ]
            }
        ),
        native(settings={"command": 'npx -y  "a server" --root /srv\n', "env": {"PLACE": {"$variable": "SHOP_KEY"}}}),
        native(settings={"template": "Be kind. {question}", "use_auth": False, "api_key": ""}),
        langflow("api_key", field("OPENAI_API_KEY", load_from_db=True, password=True)),
        langflow("api_key", {"type": "str", "display_name": "API Key", "name": "api_key", "show": True, "value": ""}),
        langflow(
            "code",
            {**field('class A:\n    token = SecretStrInput(name="api_key")\n'), "type": "code"},
        ),
    ],
)
def test_what_is_no_secret_stays(graph):
    assert mask_graph(graph, declared) == graph


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["value", "key", "name", "headers", "type", "password", "env", "args", "$variable", "secrets", "code"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(json_values)
def test_any_json_is_masked_once_and_for_all(value):
    shown = mask_graph({"graph": value}, declared)
    assert mask_graph(shown, declared) == shown
    assert SECRET not in json.dumps(mask_graph({"api_key": {"deep": [value, SECRET, {"headers": SECRET}]}}, declared))


class Vault(Component):
    """A component with a secret of an ordinary name."""

    type_name = "Vault"
    inputs = (Input("passcode", type="secret"), Input("text"))
    outputs = ()

    def run(self, context, /, **values):
        return {}


SHOWN = {
    "name": "vault",
    "endpoint_name": "vault",
    "description": f"ask with api_key={SECRET}",
    "data": native(settings={"passcode": SECRET, "text": f"Authorization: Bearer {SECRET}"}),
}


def shown_everywhere(call, flow_id):
    """Return all that is shown of a flow."""
    places = [
        ("GET", "/api/v1/flows/"),
        ("GET", "/api/v1/flows/?header_flows=true"),
        ("GET", "/api/v1/flows/?get_all=false"),
        ("GET", f"/api/v1/flows/{flow_id}"),
        ("GET", f"/api/v1/flows/{flow_id}/plan"),
        ("GET", f"/api/v1/flows/{flow_id}/graph.svg"),
        ("GET", "/openapi.json"),
    ]
    found = [call(verb, path) for verb, path in places]
    found.append(call("POST", "/api/v1/flows/download/", json=[flow_id]))
    return [(answer.status_code, answer.get_data(as_text=True)) for answer in found]


@pytest.mark.parametrize("who", ["ann", "reader", "root", "local"])
def test_a_flow_of_a_folder_is_masked_for_everybody(tmp_path, who):
    (tmp_path / "flows").mkdir()
    file = {**SHOWN["data"], "name": "vault", "description": SHOWN["description"]}
    (tmp_path / "flows" / "vault.json").write_text(json.dumps(file))
    more = {"flows_dir": str(tmp_path / "flows"), "auth": "none" if who == "local" else "key"}
    with open_site(tmp_path / "data", plugins=[Vault], playground=True, **more) as site:
        site.add_user("ann")
        site.add_user("ann", "reader", read_only=True)
        site.add_user("root", admin=True)
        user = None if who == "local" else who
        flow_id = site.runner.library.folders.flows()[0].id
        for status, text in shown_everywhere(lambda verb, path, **more: site.call(user, verb, path, **more), flow_id):
            assert status == 200 and SECRET not in text
        assert MASK in site.call(user, "GET", f"/api/v1/flows/{flow_id}").get_data(as_text=True)


def test_a_stored_flow_is_shown_as_it_is_to_its_author_alone(tmp_path):
    with open_site(tmp_path, plugins=[Vault], playground=True) as site:
        owner = site.add_user("ann")
        site.add_user("ann", "reader", read_only=True)
        site.add_user("ann", "limited", flows=["vault"])
        site.add_user("root", admin=True)
        flow_id = site.flow("ann", SHOWN)
        assert SECRET in site.call("ann", "GET", f"/api/v1/flows/{flow_id}").get_data(as_text=True)

        def acting(verb, path, **more):
            return site.call("root", verb, path, headers={"X-Flowrunner-Owner": owner}, **more)

        for status, text in shown_everywhere(acting, flow_id):
            assert status == 200 and SECRET not in text
        for status, text in shown_everywhere(lambda v, p, **more: site.call("reader", v, p, **more), flow_id):
            assert status == 200 and SECRET not in text
        for status, text in shown_everywhere(lambda v, p, **more: site.call("limited", v, p, **more), flow_id):
            assert status in (200, 403) and SECRET not in text
        # What was shown masked is not written back: the masks would take the place of the secrets.
        masked = acting("GET", f"/api/v1/flows/{flow_id}").get_json()
        assert acting("PATCH", f"/api/v1/flows/{flow_id}", json={"data": masked["data"]}).status_code == 403
        assert acting("PATCH", f"/api/v1/flows/{flow_id}", json={"description": "new"}).status_code == 200
        assert SECRET in site.call("ann", "GET", f"/api/v1/flows/{flow_id}").get_data(as_text=True)


def test_variables_that_look_like_credentials_are_masked_for_who_only_reads(tmp_path):
    with open_site(tmp_path) as site:
        site.add_user("ann")
        site.add_user("ann", "reader", read_only=True)
        site.runner.stores.variables.create(owner_of_user("ann"), "WHERE", f"https://ann:{SECRET}@host/")
        assert SECRET in site.call("ann", "GET", "/api/v1/variables/").get_data(as_text=True)
        assert SECRET not in site.call("reader", "GET", "/api/v1/variables/").get_data(as_text=True)
