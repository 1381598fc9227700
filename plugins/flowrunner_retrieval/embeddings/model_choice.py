"""Which embedding model a component names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from flowrunner_models.failures import ModelNotChosen
from flowrunner_models.model_choice import Choice, read_model, split_name
from flowrunner_models.providers import find_provider, near_provider

#: The model that is meant where none is named.
USUAL: Final[Mapping[str, str]] = {
    "OpenAI": "text-embedding-3-small",
    "Azure OpenAI": "text-embedding-3-small",
    "Google Generative AI": "gemini-embedding-001",
    "Mistral": "mistral-embed",
    "Cohere": "embed-v4.0",
    "Ollama": "nomic-embed-text",
    "NVIDIA": "nvidia/nv-embed-v1",
    "AI/ML API": "text-embedding-3-small",
    "OpenRouter": "openai/text-embedding-3-small",
    "Hugging Face": "BAAI/bge-small-en-v1.5",
    "local": "local",
}
_GUESSES: Final = (
    ("text-embedding-", "OpenAI"),
    ("models/", "Google Generative AI"),
    ("gemini-embedding", "Google Generative AI"),
    ("mistral-embed", "Mistral"),
    ("codestral-embed", "Mistral"),
    ("embed-", "Cohere"),
    ("nomic-embed", "Ollama"),
    ("mxbai-embed", "Ollama"),
    ("nvidia/", "NVIDIA"),
)


def choose(values: Mapping[str, Any], *, usual: str = "", default: str = "", force: bool = False) -> Choice:
    """Return the embedding model that settings mean.

    :param usual: provider that the type of the component stands for.
    :param default: the operator's ``provider:model``, for components that name neither.
    :param force: use the operator's whatever the flow says.
    :raises ModelNotChosen: if there is none, or nobody is called so.
    """
    named, provider_word = read_model(values.get("model"))
    provider_word = _word(values.get("provider")) or provider_word
    model = _word(values.get("azure_deployment")) or _word(values.get("model_name")) or named
    if default and (force or not (usual or provider_word or model)):
        provider_word, model = split_name(default)
    elif usual and usual != "OpenAI":
        provider_word = usual
    elif not provider_word:
        provider_word = usual or _guess(model)
    if not provider_word:
        raise ModelNotChosen(
            "no embedding model is set: connect one, set provider and model, or set FLOWRUNNER_EMBEDDING"
        )
    provider = find_provider(provider_word)
    if provider is None:
        raise ModelNotChosen(f"unknown provider {provider_word[:80]}{near_provider(provider_word)}")
    model = model or USUAL.get(provider.name, "")
    if not model:
        raise ModelNotChosen(f"no embedding model of {provider.name} is set: set model")
    return Choice(provider, model)


def _guess(model: str) -> str:
    lower = model.lower()
    return next((provider for start, provider in _GUESSES if lower.startswith(start)), "")


def _word(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""
