"""Every component that is offered and has a field for an address: no secret leaves to one that a request chose."""

from __future__ import annotations

import contextlib

import pytest

from flowrunner import ComponentFailed
from flowrunner.plugins import PluginManager
from tests.engine.rig import Rig
from tests.engine.test_words import SECRET, WAYS, Listener
from tests.installed import require

require("openai")

#: What components want before they reach out.
WANTED = {
    "input_value": "hi",
    "max_retries": 0,
    "model_name": "m",
    "continue_on_failure": True,
    "output_schema": [{"name": "a", "type": "str"}],
    "routes": [{"route_category": "A"}],
    "df": [{"text": "hi"}],
    "mode": "URL",
    "text_input": "hi",
}


def components():
    """Return one component of each kind: types that share their code and their inputs are one."""
    manager = PluginManager()
    manager.load_entry_points()
    manager.collect_settings()
    manager.collect_components()
    found = {}
    # A type that stands for one provider uses that one's fields only.
    for one in sorted(manager.registry.components(), key=lambda one: bool(getattr(one, "provider_name", ""))):
        if any(i.holds_address for i in one.inputs):
            found.setdefault((type(one).run, tuple(i.name for i in one.inputs)), one)
    return list(found.values())


FIELDS = [
    pytest.param(one, declared.name, id=f"{one.type_name}-{declared.name}")
    for one in components()
    for declared in one.inputs
    if declared.holds_address
]


@pytest.fixture(scope="module")
def listener():
    with Listener() as opened:
        yield opened


@pytest.fixture(scope="module")
def rig(tmp_path_factory):
    opened = Rig(tmp_path_factory.mktemp("walk"), allow_private_addresses="all")
    opened.environment.update(OPENAI_API_KEY=f"env-{SECRET}", OLLAMA_API_KEY=f"env-{SECRET}")
    opened.variables.update(STORED=f"stored-{SECRET}", GROQ_API_KEY=f"stored-{SECRET}")
    yield opened
    opened.close()


def settings_of(component, name, url):
    """Return settings that hold secrets wherever such may stand, and an address of the flow's own."""
    names = {i.name: i for i in component.inputs}
    found = {key: value for key, value in WANTED.items() if key in names}
    for key, declared in names.items():
        if declared.type == "secret" and not declared.holds_address:
            found[key] = SECRET
    for key in ("headers", "query_params", "model_kwargs"):
        if key in names:
            found[key] = {"X-Api-Key": SECRET}
    if "provider" in names:
        found["provider"] = "Ollama" if name == "ollama_base_url" else "OpenAI"
    if name == "curl_input":
        found["mode"] = "cURL"
        url = f"curl {url} -H 'X-Api-Key: {SECRET}'"
    found[name] = url
    return found


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("component", "name"), FIELDS)
def test_no_secret_leaves(rig, listener, component, name, way):
    listener.heard.clear()
    away = f"http://localhost:{listener.port}/v1"
    settings = settings_of(component, name, f"http://127.0.0.1:{listener.port}/v1")
    more = {"display_name": "Fetcher"}
    if way == "variable that a header answers":
        rig.environment["WHERE"] = settings[name]
        settings[name] = "WHERE"
        more["variables"] = frozenset({name})
    start = "ChatInput" if way == "edge" else "TextInput"
    vertices = [("in", start), ("f", component.type_name, settings, more)]
    edges = [f"in.message -> f.{name}"] if way == "edge" else []
    brought = f"curl {away}" if name == "curl_input" else away
    with contextlib.suppress(ComponentFailed):
        rig.run(vertices, edges, **WAYS[way](name, brought))
    assert not [said for said in listener.heard if SECRET in said and "Host: localhost" in said]


@pytest.mark.parametrize(("component", "name"), FIELDS)
def test_the_walk_reaches_out_at_all(rig, listener, component, name):
    """A walk that reached nobody would prove nothing: the flow's own server gets the request, with its secrets."""
    listener.heard.clear()
    settings = settings_of(component, name, f"http://127.0.0.1:{listener.port}/v1")
    with contextlib.suppress(ComponentFailed):
        rig.run([("in", "TextInput"), ("f", component.type_name, settings)])
    if component.asks_destination and component.blocking:
        assert listener.heard and SECRET in listener.heard[0]
