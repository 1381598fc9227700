"""Whose word a value is, and what a component may send where."""

from __future__ import annotations

import http.server
import threading

import pytest
from flowrunner_models.fields import URL_FIELDS

from flowrunner import Component, ComponentFailed, Input, Output
from flowrunner.testing.model_server import ModelServer
from tests.engine.rig import Rig
from tests.installed import require

require("openai")

SECRET = "s3cr3t"


class Listener:
    """Keeps everything that anybody sends."""

    def __init__(self):
        heard = self.heard = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *args):
                pass

            def do_GET(self):
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                heard.append(f"{self.command} {self.path}\n{self.headers}\n{body.decode()}")
                self.send_response(200)
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_GET

        self._http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.port = self._http.server_address[1]

    def __enter__(self):
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *error):
        self._http.shutdown()
        self._http.server_close()


class Careless(Component):
    """Send a secret, a variable and headers wherever it is told, and ask nobody."""

    type_name = "Careless"
    inputs = (
        Input("base_url", "str"),
        Input("api_key", "secret"),
        Input("headers", "dict", default={}),
        Input("text"),
    )
    outputs = (Output("text"),)
    output_kind = "text"

    def run(self, context, base_url, api_key, headers, text):
        return {"text": f"{base_url} {api_key} {headers} {context.variable('OPENAI_API_KEY')}"}


@pytest.fixture(scope="module")
def listener():
    with Listener() as opened:
        yield opened


@pytest.fixture
def rig(tmp_path):
    opened = Rig(tmp_path, components=(Careless,), allow_private_addresses="all")
    opened.environment["OPENAI_API_KEY"] = f"env-{SECRET}"
    yield opened
    opened.close()


#: How a request can bring an address to a vertex "f": what it sends, and what the flow must have for that.
WAYS = {
    "tweak by id": lambda name, url: {"tweaks": {"f": {name: url}}},
    "tweak by display name": lambda name, url: {"tweaks": {"Fetcher": {name: url}}},
    "top-level tweak": lambda name, url: {"tweaks": {name: url}},
    "tweak with a value": lambda name, url: {"tweaks": {"f": {name: {"value": url}}}},
    "tweak that names what a header brings": lambda name, url: {
        "tweaks": {"f": {name: {"value": "WHERE", "load_from_db": True}}},
        "variables": {"WHERE": url},
    },
    "variable that a header answers": lambda name, url: {"variables": {"WHERE": url}},
    "edge": lambda name, url: {"input_value": url},
}


def run_with(rig, kind, settings, name, url, way, *, author=None):
    """Run a flow in which a request brings an address in a certain way."""
    own = settings.get(name)
    more = {"display_name": "Fetcher"}
    if way == "variable that a header answers":
        settings = {**settings, name: "WHERE"}
        rig.environment["WHERE"] = own
        more["variables"] = frozenset({name})
    output = rig.registry.component(kind).outputs[0].name
    start = "ChatInput" if way == "edge" else "TextInput"
    vertices = [("in", start), ("f", kind, settings, more), ("out", "ChatOutput")]
    edges = [f"f.{output} -> out.input_value"]
    edges += [f"in.message -> f.{name}"] if way == "edge" else []
    return rig.run(vertices, edges, author=author, **WAYS[way](name, url))


@pytest.mark.parametrize("way", WAYS)
def test_an_api_request_sends_secrets_to_the_server_of_the_flow_only(rig, listener, way):
    listener.heard.clear()
    own = f"http://127.0.0.1:{listener.port}/own"
    settings = {"url_input": own, "headers": {"X-Api-Key": SECRET}, "query_params": {"k": SECRET}}
    with pytest.raises(ComponentFailed, match="headers and query_params"):
        run_with(rig, "APIRequest", settings, "url_input", f"http://localhost:{listener.port}/x", way)
    assert not listener.heard
    run_with(rig, "APIRequest", settings, "url_input", f"http://127.0.0.1:{listener.port}/other", way)
    assert SECRET in listener.heard[-1] and "/other" in listener.heard[-1]


@pytest.mark.parametrize("way", WAYS)
def test_a_component_that_asks_nobody_gets_no_secret_to_lose(rig, listener, way):
    settings = {"base_url": "http://127.0.0.1:1/own", "api_key": SECRET, "headers": {"X-Api-Key": SECRET}}
    out = run_with(rig, "Careless", settings, "base_url", "http://localhost:1/x", way)
    assert SECRET not in str(out.output("f"))
    out = run_with(rig, "Careless", settings, "base_url", "http://127.0.0.1:1/y", way)
    assert SECRET in str(out.output("f"))


def test_an_author_s_address_gets_no_key_of_the_environment(rig):
    with ModelServer() as evil:
        chain = ["in.message -> m.input_value", "m.text_output -> out.input_value"]
        for f in URL_FIELDS:
            settings = {"provider": "OpenAI", f: evil.url}
            vertices = [("in", "ChatInput"), ("m", "LanguageModelComponent", settings), ("out", "ChatOutput")]
            rig.run(vertices, chain, author="ann")
            assert SECRET not in str(evil.headers[-1]), f


@pytest.mark.parametrize(
    ("kind", "field", "settings"),
    [
        ("TextInput", "input_value", {}),
        ("Prompt", "template", {}),
        ("Prompt", "who", {"template": "{who}"}),
        ("ConditionalRouter", "match_text", {"input_text": "a", "operator": "equals"}),
        ("ChatInput", "session_id", {}),
        ("ChatOutput", "sender_name", {"input_value": "x"}),
        ("APIRequest", "url_input", {}),
        ("LanguageModelComponent", "ollama_base_url", {"provider": "Ollama", "model_name": "m"}),
        ("LanguageModelComponent", "system_message", {"provider": "Ollama", "model_name": "m"}),
    ],
)
@pytest.mark.parametrize("variable", ["A_CREDENTIAL", "OPENAI_API_KEY"])
@pytest.mark.parametrize("author", [None, "ann"])
def test_a_credential_goes_into_secrets_only(rig, kind, field, settings, variable, author):
    rig.variables["A_CREDENTIAL"] = SECRET
    rig.credentials.add("A_CREDENTIAL")
    vertices = [("f", kind, {**settings, field: variable}, {"variables": frozenset({field})})]
    with pytest.raises(ComponentFailed, match=f"{variable}, named in the field {field}, is a credential"):
        rig.run(vertices, author=author, input_value=None)
    assert SECRET not in str(rig.messages())
    named = {"tweaks": {"f": {field: {"value": "A_CREDENTIAL", "load_from_db": True}}}}
    with pytest.raises(ComponentFailed, match="A_CREDENTIAL, named in"):
        rig.run([("f", kind, settings)], author=author, input_value=None, **named)


def test_a_credential_goes_to_the_authors_server_and_not_to_the_requests(rig):
    rig.variables["A_CREDENTIAL"] = SECRET
    rig.credentials.add("A_CREDENTIAL")
    with ModelServer() as server:
        settings = {"provider": "OpenAI", "base_url": server.url, "api_key": "A_CREDENTIAL", "input_value": "hi"}
        vertices = [("f", "LanguageModelComponent", settings, {"variables": frozenset({"api_key"})})]
        rig.run(vertices, author="ann")
        assert SECRET in server.headers[-1]["authorization"]
        rig.run(vertices, author="ann", tweaks={"f": {"base_url": server.url.replace("127.0.0.1", "localhost")}})
        assert SECRET not in str(server.headers[-1])


def test_the_account_at_openai_is_told_to_nobody_else(rig, monkeypatch):
    monkeypatch.setenv("OPENAI_ORG_ID", "org-ours")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "project-ours")
    with ModelServer() as server:
        for kind, key in (("GroqModel", "groq_api_key"), ("OpenAIModel", "api_key"), ("MistralModel", "api_key")):
            rig.run([("f", kind, {"base_url": server.url, key: "k", "input_value": "hi", "model_name": "m"})])
            assert "ours" not in str(server.headers[-1]), kind
