"""Which model a component names, in the formats of all releases."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from .failures import ModelNotChosen
from .providers import Provider, find_provider, near_provider

#: What stands for "the model comes over an edge" in the provider field of older releases.
_FROM_EDGE: Final = frozenset({"custom", "connect_other_models", "connect other models"})


@dataclass(frozen=True, slots=True)
class Choice:
    """A provider and the name of one of its models."""

    provider: Provider
    model: str


def choose(values: Mapping[str, Any], *, usual: str = "", default: str = "", force: bool = False) -> Choice:
    """Return the model that settings mean.

    An override (``provider``, ``model_name``) is stronger than the ``model`` field, which may be
    a list of ``{name, provider}``, one such object, the JSON of either, or a plain name.

    :param usual: provider that the type of the component stands for.
    :param default: the operator's ``provider:model``, for components that name neither.
    :param force: use the operator's whatever the flow says.
    :raises ModelNotChosen: if there is none, or nobody is called so.
    """
    named, provider_word = read_model(values.get("model"))
    agent_word = _word(values.get("agent_llm"))
    provider_word = _word(values.get("provider")) or provider_word or agent_word
    if provider_word.lower() in _FROM_EDGE:
        provider_word = ""
    model = _word(values.get("model_name")) or named or _word(values.get("azure_deployment"))
    if usual and usual != "OpenAI":
        # A component of one provider; its field of that name says whose model a broker calls.
        provider_word = usual
    chosen_by_operator = split_name(default)
    if default and (force or not (provider_word or model or usual)):
        provider_word, model = chosen_by_operator
    elif not provider_word:
        provider_word = usual or _guess(model) or chosen_by_operator[0]
    if not provider_word and model:
        near = difflib.get_close_matches(_family(model)[:60], _FAMILIES, n=1)
        hint = f"; did you mean {near[0]}{model[len(_family(model)) :][:80]}?" if near else ""
        raise ModelNotChosen(f"the provider of the model {model[:80]} is not known: set provider{hint}")
    if not provider_word:
        raise ModelNotChosen("no model is set: connect one, set provider and model_name, or set FLOWRUNNER_MODEL")
    provider = find_provider(provider_word)
    if provider is None:
        raise ModelNotChosen(f"unknown model provider {provider_word[:80]}{near_provider(provider_word)}")
    return Choice(provider, model or provider.model)


def read_model(value: Any) -> tuple[str, str]:
    """Return name and provider out of a ``model`` field of any shape; empty texts where it says nothing."""
    if isinstance(value, str):
        text = value.strip()
        if text[:1] in ("[", "{"):
            try:
                return read_model(json.loads(text))
            except ValueError:
                return text, ""
        return ("", "") if text.lower() in _FROM_EDGE else (text, "")
    if isinstance(value, (list, tuple)):
        return read_model(value[0]) if value else ("", "")
    if isinstance(value, Mapping):
        inner = value.get("value")
        if "name" not in value and inner is not None:
            return read_model(inner)
        metadata = value.get("metadata")
        provider = value.get("provider") or (metadata.get("provider") if isinstance(metadata, Mapping) else "")
        return _word(value.get("name") or value.get("id")), _word(provider or value.get("category"))
    return "", ""


def split_name(text: str) -> tuple[str, str]:
    """Return provider and model of ``provider:model``; only the part before the first colon is the provider."""
    provider, _, model = text.partition(":")
    return provider.strip(), model.strip()


#: The providers of models that everybody knows, by the beginning of their names.
_FAMILIES: Final = {
    "gpt": "OpenAI",
    "o1": "OpenAI",
    "o3": "OpenAI",
    "o4": "OpenAI",
    "chatgpt": "OpenAI",
    "claude": "Anthropic",
    "gemini": "Google",
    "mistral": "Mistral",
    "command": "Cohere",
    "deepseek": "DeepSeek",
    "grok": "xAI",
    "sonar": "Perplexity",
}


def _guess(model: str) -> str:
    """Return the provider of a model that everybody knows by its name."""
    return _FAMILIES.get(_family(model), "")


def _family(model: str) -> str:
    return model.lower().partition("-")[0]


def _word(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""
