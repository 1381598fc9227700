"""From the settings of a vertex to a model that can be asked."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from flowrunner import Component, RunContext, checked_address

from .choosing import Choice, choose, split_name
from .connections import Connections
from .failures import ModelFailed, ModelKeyMissing, ModelNotChosen
from .fields import KEY_FIELDS, MODEL_FIELDS, OLLAMA_URL, URL_FIELDS
from .openai_model import OpenAIModel
from .protocol import ChatModel, Options
from .providers import Provider, find_provider

#: A key field that holds the name of a variable, without being marked as such.
_VARIABLE_NAME: Final = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+")


class ModelUser(Component):
    """A component that asks a model. Its one piece of state are idle connections, which any run may use."""

    blocking = True
    #: The provider that the type stands for, where it stands for one.
    provider_name = ""

    def __init__(self) -> None:
        self.connections = Connections()

    def model_of(self, context: RunContext, values: Mapping[str, Any]) -> ChatModel:
        """Return the model that came over an edge, else the one that the settings mean.

        :raises ModelFailed: if there is none, or its key is missing.
        """
        for name in MODEL_FIELDS:
            if isinstance(values.get(name), ChatModel):
                found: ChatModel = values[name]
                return found
        return make_model(context, values, connections=self.connections, usual=self.provider_name)


def make_model(
    context: RunContext, values: Mapping[str, Any], *, connections: Connections, usual: str = ""
) -> ChatModel:
    """Return the model that settings mean.

    :param usual: provider that the type of the component stands for.
    :raises ModelFailed: if none is chosen, or its key is missing.
    """
    settings = context.settings
    choice = choose(
        values, usual=usual, default=getattr(settings, "model", ""), force=getattr(settings, "model_force", False)
    )
    options = read_options(values)
    if choice.provider.kind == "local":
        from .local_model import open_local_model

        return open_local_model(choice.model, options, getattr(settings, "local_model", None))
    if choice.provider.kind == "llm" and not _own_url(settings, choice.provider):
        from .llm_model import LlmModel

        return LlmModel(choice.model, options, key=_find_key(context, values, choice.provider))
    return _openai_model(context, values, choice, options, connections)


def _openai_model(
    context: RunContext, values: Mapping[str, Any], choice: Choice, options: Options, connections: Connections
) -> ChatModel:
    provider = choice.provider
    given, from_request = _given_url(context, values, provider)
    url = _own_url(context.settings, provider)
    if url:
        from_request = False
    url = url or _full_url(given, provider)
    if not url:
        raise ModelNotChosen(f"{provider.name} has no address of its own: set base_url")
    key = "" if from_request and not _key_from_request(context) else _find_key(context, values, provider)
    if not key and provider.keys and _full_url("", provider) == url:
        raise ModelKeyMissing(_no_key(context, provider))
    name = choice.model or split_name(getattr(context.settings, "model", ""))[1]
    if not name:
        raise ModelNotChosen(f"no model of {provider.name} is chosen: set model_name")
    return OpenAIModel(
        connections,
        provider=provider.name,
        name=name,
        base_url=url,
        key=key,
        options=options,
        addresses=_checked(url, context) if from_request else None,
    )


def read_options(values: Mapping[str, Any]) -> Options:
    """Return the options among settings; what is blank stays the provider's choice."""
    extra = {k: v for k, v in (values.get("model_kwargs") or {}).items() if k and v != ""}
    timeout, retries = values.get("timeout"), values.get("max_retries")
    stop = values.get("stop_tokens") or ""
    return Options(
        temperature=values.get("temperature"),
        max_tokens=values.get("max_tokens") or values.get("max_output_tokens") or None,
        top_p=values.get("top_p"),
        seed=values.get("seed"),
        stop=tuple(word.strip() for word in str(stop).split(",") if word.strip()),
        json_mode=bool(values.get("json_mode")),
        timeout=timeout if timeout and timeout > 0 else 120.0,
        retries=min(10, retries) if isinstance(retries, int) and retries >= 0 else 2,
        extra=extra,
    )


def _find_key(context: RunContext, values: Mapping[str, Any], provider: Provider) -> str:
    """Return the API key: the field's, else what the provider's usual variables hold."""
    for name in KEY_FIELDS:
        value = values.get(name)
        if not isinstance(value, str) or not value.strip() or name in context.missing:
            continue
        if _VARIABLE_NAME.fullmatch(value):
            value = context.variable(value) or ""
        if value:
            return value.strip()
    for variable in provider.keys:
        found = context.variable(variable)
        if found:
            return found.strip()
    return ""


def _no_key(context: RunContext, provider: Provider) -> str:
    named = [variable for name, variable in context.missing.items() if name in KEY_FIELDS and variable]
    wanted = " or ".join(dict.fromkeys([*named, *provider.keys[:1]]))
    return f"{provider.name} wants an API key: the variable {wanted} is set nowhere"


def _key_from_request(context: RunContext) -> bool:
    return any(name in context.tweaked for name in KEY_FIELDS)


def _own_url(settings: Any, provider: Provider) -> str:
    """Return the address that the operator set for a provider, if any."""
    for entry in getattr(settings, "model_base_urls", ()):
        name, _, url = entry.partition("=")
        if name.strip() == "all" or find_provider(name) is provider:
            return str(url).strip()
    return ""


def _given_url(context: RunContext, values: Mapping[str, Any], provider: Provider) -> tuple[str, bool]:
    """Return the address in the settings, and whether the request had a hand in it."""
    names = [*URL_FIELDS, OLLAMA_URL] if provider.name == "Ollama" else list(URL_FIELDS)
    for name in names:
        value = values.get(name)
        if name in context.missing:
            # The mark is often set beside a plain address; an address is no name of a variable.
            value = context.missing[name] if "://" in context.missing[name] else ""
        if isinstance(value, str) and value.strip():
            return value.strip(), name in context.tweaked or bool(context.sources.get(name))
    return "", False


def _full_url(given: str, provider: Provider) -> str:
    if not given:
        return provider.base_url
    url = given if "://" in given else f"http://{given}"
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ModelFailed("the address of the model server is no http or https address")
    path = parts.path.rstrip("/")
    path = path.removesuffix("/chat/completions")
    return f"{parts.scheme}://{parts.netloc}{path or provider.path}"


def _checked(url: str, context: RunContext) -> Callable[[], Mapping[str, str]]:
    allowed = getattr(context.settings, "allow_private_addresses", ())

    def addresses() -> Mapping[str, str]:
        host = urlsplit(url).hostname or ""
        return {host: checked_address(host, allowed)}

    return addresses
