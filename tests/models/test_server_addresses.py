"""Who names the server that a model is asked at, and which key goes there."""

from __future__ import annotations

import pytest
from flowrunner_models.failures import ModelKeyMissing
from flowrunner_models.openai_model import host_of
from flowrunner_models.providers import PROVIDERS

from flowrunner import AddressRefused, Component, ComponentFailed, Input, Output
from flowrunner.testing.model_server import ModelServer

AUTHOR = {"api_key": "sk-AUTHOR"}


class KeepsModel(Component):
    """Keep the model that comes in."""

    type_name = "KeepsModel"
    inputs = (Input("model", "any", accepts=("LanguageModel",)),)
    outputs = (Output("text"),)
    output_kind = "text"

    def run(self, context, model):
        KeepsModel.kept = model
        return {"text": ""}


def sent_key(server):
    return server.headers[-1]["authorization"].removeprefix("Bearer ")


@pytest.fixture
def evil():
    """A server of somebody who may run the flow and no more."""
    with ModelServer() as server:
        yield server


@pytest.fixture
def open_to_all(open_house, model):
    """A house that reaches the servers of these tests as it would reach public ones."""
    house = open_house(model_base_urls=None, allow_private_addresses="all", components=(KeepsModel,))
    house.variables.update(OPENAI_API_KEY="sk-STORED", MY_OTHER_KEY="sk-OTHER", GROQ_API_KEY="sk-GROQ")
    return house


def test_the_author_may_name_a_local_server(open_house, model):
    house = open_house(model_base_urls=None)
    root = model.url.removesuffix("/v1")
    for kind, settings in (
        ("OpenAIModel", {"openai_api_base": model.url}),
        ("OllamaModel", {"base_url": root + "/", "model_name": "m"}),
        ("LanguageModelComponent", {"provider": "Ollama", "ollama_base_url": root, "model_name": "m"}),
        ("LMStudioModel", {"base_url": model.url, "model_name": "m"}),
    ):
        assert house.chat(kind=kind, settings=settings).text.startswith("Ahoy"), kind


def test_a_request_may_not(open_house, model):
    house = open_house(model_base_urls=None)
    settings = {"openai_api_base": model.url, "api_key": "sk-of-the-author"}
    other = model.url.replace("127.0.0.1", "localhost")
    asked = len(model.asked)
    with pytest.raises(ComponentFailed) as failed:
        house.chat(kind="OpenAIModel", settings=settings, tweaks={"model": {"openai_api_base": other}})
    assert isinstance(failed.value.__cause__, AddressRefused)
    assert len(model.asked) == asked
    allowed = open_house(model_base_urls=None, allow_private_addresses="localhost,127.0.0.0/8,::1")
    allowed.chat(kind="OpenAIModel", settings=settings, tweaks={"model": {"openai_api_base": other}})
    assert model.headers[-1]["host"] == other.split("/")[2]
    # The author's key is not for a server that somebody else names.
    assert "sk-of-the-author" not in sent_key(model)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"groq_api_key": "x"},
        {"api_key": ""},
        {"api_key": None},
        {"api_key": "OPENAI_API_KEY"},
        {"groq_api_key": "MY_OTHER_KEY"},
        {"api_key": " OPENAI_API_KEY "},
    ],
)
@pytest.mark.parametrize("kind", ["OpenAIModel", "LanguageModelComponent", "Agent"])
def test_an_address_of_the_request_gets_no_key_but_the_requests_own(open_to_all, evil, fields, kind):
    settings = {**AUTHOR, "provider": "OpenAI"}
    open_to_all.chat(kind=kind, settings=settings, tweaks={"model": {"base_url": evil.url, **fields}})
    assert sent_key(evil) in ("none", "x")


def test_a_tweak_that_names_a_variable_brings_no_key_that_the_server_keeps(open_to_all, evil):
    open_to_all.variables["OPENAI_API_KEY"] = "sk-STORED"
    named = {"value": "OPENAI_API_KEY", "load_from_db": True}
    open_to_all.chat(kind="OpenAIModel", settings=AUTHOR, tweaks={"model": {"base_url": evil.url, "api_key": named}})
    assert sent_key(evil) == "none"


def test_a_key_that_comes_with_the_address_goes_there(open_to_all, evil):
    there = {"base_url": evil.url}
    open_to_all.chat(kind="OpenAIModel", settings=AUTHOR, tweaks={"model": {**there, "openai_api_key": "sk-MINE"}})
    assert sent_key(evil) == "sk-MINE"
    named = ("model", "OpenAIModel", {"api_key": "THEIR_KEY"}, {"variables": frozenset({"api_key"})})
    chain = ["in.message -> model.input_value", "model.text_output -> out.input_value"]
    open_to_all.run(
        [("in", "ChatInput"), named, ("out", "ChatOutput")],
        chain,
        tweaks={"model": there},
        variables={"THEIR_KEY": "sk-HEADER"},
    )
    assert sent_key(evil) == "sk-HEADER"


def test_an_address_that_a_header_brings_gets_no_key(open_to_all, evil):
    named = ("model", "OpenAIModel", {**AUTHOR, "base_url": "WHERE"}, {"variables": frozenset({"base_url"})})
    chain = ["in.message -> model.input_value", "model.text_output -> out.input_value"]
    open_to_all.run([("in", "ChatInput"), named, ("out", "ChatOutput")], chain, variables={"WHERE": evil.url})
    assert sent_key(evil) == "none"


def test_headers_of_this_servers_environment_stay_here(open_to_all, evil, monkeypatch):
    monkeypatch.setenv("OPENAI_ORG_ID", "org-OPERATOR")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Gateway: secret\nAuthorization: Bearer sk-GATEWAY")
    open_to_all.chat(kind="OpenAIModel", settings=AUTHOR, tweaks={"model": {"base_url": evil.url}})
    shown = str(evil.headers[-1])
    assert not any(word in shown for word in ("OPERATOR", "secret", "GATEWAY", "AUTHOR"))


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_a_proxy_of_the_environment_is_not_asked_for_servers_on_this_machine(open_house, model, monkeypatch, name):
    for variable in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    house = open_house(model_base_urls=f"all={model.url.replace('127.0.0.1', name)}")
    assert house.chat(settings={"max_retries": 0}).text.startswith("Ahoy")


def test_a_proxy_of_the_environment_is_asked_for_others(open_house, monkeypatch):
    with ModelServer() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url.removesuffix("/v1"))
        open_house(model_base_urls="all=http://models.invalid/v1").chat(settings={"max_retries": 0})
        assert proxy.headers[-1]["host"] == "models.invalid"


def test_further_members_of_the_request_redirect_nothing(open_to_all, model, evil):
    more = {"base_url": evil.url, "extra_headers": {"Host": "evil"}, "extra_body": {"api_base": evil.url}}
    settings = {**AUTHOR, "base_url": model.url}
    open_to_all.chat(kind="OpenAIModel", settings=settings, tweaks={"model": {"model_kwargs": more}})
    assert sent_key(model) == "sk-AUTHOR"
    assert model.headers[-1]["host"] == model.url.split("/")[2]
    assert not evil.asked


@pytest.mark.parametrize(
    ("settings", "fields"),
    [
        ({"provider": "OpenAI"}, {"provider": "vLLM"}),
        ({"model": [{"name": "m", "provider": "OpenAI"}]}, {"model": [{"name": "m", "provider": "LM Studio"}]}),
        ({"agent_llm": "OpenAI"}, {"agent_llm": "Ollama"}),
        ({"provider": "OpenAI", "ollama_base_url": "http://localhost:11434"}, {"provider": "Ollama"}),
    ],
)
def test_a_request_may_not_choose_a_provider_on_this_machine(open_house, settings, fields):
    house = open_house(model_base_urls=None)
    with pytest.raises(ComponentFailed) as failed:
        house.chat(settings={**settings, "model_name": "m"}, tweaks={"model": fields})
    assert isinstance(failed.value.__cause__, AddressRefused)


def test_the_authors_key_is_not_for_another_provider(open_house):
    house = open_house(model_base_urls=None)
    for tweak in ({"provider": "Groq"}, {"model": [{"name": "llama", "provider": "Groq"}]}, {"base_url": ""}):
        settings = {**AUTHOR, "base_url": "https://models.invalid"} if "base_url" in tweak else AUTHOR
        with pytest.raises(ComponentFailed, match="_API_KEY is not set") as failed:
            house.chat(settings={"model": [{"name": "m", "provider": "OpenAI"}], **settings}, tweaks={"model": tweak})
        assert isinstance(failed.value.__cause__, ModelKeyMissing)


def test_the_own_server_of_a_provider_that_the_request_chose_gets_the_providers_own_key(open_to_all):
    model = _made(open_to_all, {**AUTHOR, "provider": "OpenAI"}, {"provider": "Groq"})
    assert (model._base_url, model._key) == ("https://api.groq.com/openai/v1", "sk-GROQ")


def test_a_request_that_changes_no_provider_leaves_the_authors_key(open_to_all):
    for tweak in ({"model_name": "gpt-4o-mini"}, {"provider": "OpenAI"}, {"temperature": 0.5}):
        settings = {**AUTHOR, "model": [{"name": "gpt-4o", "provider": "OpenAI"}]}
        assert _made(open_to_all, settings, tweak)._key == "sk-AUTHOR"


@pytest.mark.parametrize("field", ["groq_api_base", "base_url"])
def test_a_provider_elsewhere_by_the_name_of_its_own_field(open_house, model, field):
    house = open_house(model_base_urls=None)
    house.chat(kind="GroqModel", settings={field: model.url, "groq_api_key": "gsk"})
    assert sent_key(model) == "gsk"


def test_flows_may_read_the_key_of_every_provider(house):
    assert not {name for provider in PROVIDERS for name in provider.keys}.difference(house.settings.variables)


def test_a_key_that_the_settings_hide_says_so(open_house, monkeypatch):
    monkeypatch.setenv("XAI_API_KEY", "sk-hidden")
    house = open_house(model_base_urls=None, variables="OPENAI_API_KEY")
    with pytest.raises(
        ComponentFailed, match="XAI_API_KEY is set in the environment, but not listed in FLOWRUNNER_VARIABLES"
    ) as failed:
        house.chat(settings={"provider": "xAI"})
    assert isinstance(failed.value.__cause__, ModelKeyMissing)


def _made(house, settings, tweak):
    """Return the model that a flow hands on with a tweak, without asking it."""
    vertices = [("m", "LanguageModelComponent", settings), ("keep", "KeepsModel")]
    house.run(vertices, ["m.model_output -> keep.model"], tweaks={"m": tweak})
    return KeepsModel.kept


@pytest.mark.parametrize(
    "address",
    [
        "https://models.example:8443",
        "https://models.example:8443/v1?api-key=secret",
        "https://models.example:8443?api-key=secret",
        "https://models.example:8443#secret",
        "https://ann:secret@models.example:8443/v1",
        "https://ann:secret@models.example:8443?api-key=secret",
    ],
)
def test_an_error_names_host_and_port_of_an_address_and_nothing_secret(address):
    assert host_of(address) == "models.example:8443"
