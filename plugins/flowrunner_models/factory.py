"""Create a model from the settings of a vertex."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final

from flowrunner import Component, RunContext, Word

from .connections import Connections
from .failures import ModelKeyMissing, ModelNotChosen
from .fields import MODEL_FIELDS, read_pairs
from .keys import find_key, no_key
from .model_choice import Choice, choose, split_name
from .openai_model import OpenAIModel
from .protocol import ChatModel, Options
from .server_quirks import Habits
from .servers import Server, chosen_by, find_server, is_own_address, own_url

#: Seconds; sockets take no more than so many.
_LONGEST: Final = 86400.0


class ModelUser(Component):
    """A component that asks a model. What it keeps are idle connections and habits of servers, for any run."""

    blocking = True
    asks_destination = True
    #: The provider that the type stands for, where it stands for one.
    provider_name = ""

    def __init__(self) -> None:
        self.connections = Connections()
        self.habits = Habits()

    def packages_for(self, settings: Mapping[str, Any]) -> Mapping[str, str]:
        """Return the packages that it imports when it runs."""
        if any(isinstance(settings.get(name), ChatModel) for name in MODEL_FIELDS):
            return {}
        try:
            kind = choose(settings, usual=self.provider_name).provider.kind
        except ModelNotChosen:
            return {}
        package = {"openai": "openai", "llm": "llm", "local": "xllamacpp"}[kind]
        return {package: f"pip install 'flask-flowrunner[{kind}]'"}

    def model_of(self, context: RunContext, values: Mapping[str, Any]) -> ChatModel:
        """Return the model that came over an edge, else the one that the settings mean.

        :raises ModelFailed: if there is none, or its key is missing.
        """
        for name in MODEL_FIELDS:
            if isinstance(values.get(name), ChatModel):
                found: ChatModel = values[name]
                return found
        return make_model(context, values, connections=self.connections, habits=self.habits, usual=self.provider_name)


def make_model(
    context: RunContext, values: Mapping[str, Any], *, connections: Connections, habits: Habits, usual: str = ""
) -> ChatModel:
    """Return the model that settings mean.

    :param usual: provider that the type of the component stands for.
    :raises ModelFailed: if none is chosen, or its key is missing.
    """
    settings = context.settings
    meant = partial(
        choose, usual=usual, default=getattr(settings, "model", ""), force=getattr(settings, "model_force", False)
    )
    choice = meant(values)
    options = read_options(values)
    if choice.provider.kind == "local":
        from .local_model import open_local_model

        return open_local_model(choice.model, options, getattr(settings, "local_model", None))
    chosen = chosen_by(context, values, choice, meant)
    if choice.provider.kind == "llm" and not own_url(settings, choice.provider):
        from .llm_model import LlmModel

        # The plugin knows its server, so that is as good as one of the table.
        key = find_key(context, values, choice.provider, Server("", chosen or Word.OPERATOR))
        return LlmModel(choice.model, options, key=key)
    server = find_server(context, values, choice.provider, chosen=chosen)
    return _openai_model(context, values, choice, options, server, connections, habits)


def _openai_model(
    context: RunContext,
    values: Mapping[str, Any],
    choice: Choice,
    options: Options,
    server: Server,
    connections: Connections,
    habits: Habits,
) -> ChatModel:
    provider = choice.provider
    key = find_key(context, values, provider, server)
    if not key and provider.keys and is_own_address(server.url, provider):
        raise ModelKeyMissing(no_key(context, provider, server))
    if not server.takes(context.given("model_kwargs").secret):
        options = replace(options, extra={})
    name = choice.model or split_name(getattr(context.settings, "model", ""))[1]
    if not name:
        raise ModelNotChosen(f"no model of {provider.name} is set: set model_name")
    return OpenAIModel(
        connections,
        provider=provider.name,
        name=name,
        base_url=server.url,
        key=key,
        options=options,
        addresses=server.addresses,
        sdk_headers=server.sdk_headers(provider, key),
        habits=habits,
    )


def read_options(values: Mapping[str, Any]) -> Options:
    """Return the options among settings; what is blank stays the provider's choice."""
    extra = read_pairs(values.get("model_kwargs"))
    timeout, retries = values.get("timeout"), values.get("max_retries")
    stop = values.get("stop_tokens") or ""
    return Options(
        temperature=values.get("temperature"),
        max_tokens=values.get("max_tokens") or values.get("max_output_tokens") or None,
        top_p=values.get("top_p"),
        seed=values.get("seed"),
        stop=tuple(word.strip() for word in str(stop).split(",") if word.strip()),
        json_mode=bool(values.get("json_mode")),
        timeout=min(_LONGEST, timeout) if timeout and timeout > 0 else 120.0,
        retries=min(10, retries) if isinstance(retries, int) and retries >= 0 else 2,
        extra=extra,
    )
