"""The inputs shared by all components with a model, under every name that flows use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from flowrunner import Input

#: Where an API key may stand, by release and provider.
KEY_FIELDS: Final = (
    "api_key",
    "openai_api_key",
    "anthropic_api_key",
    "groq_api_key",
    "google_api_key",
    "mistral_api_key",
    "cohere_api_key",
    "nvidia_api_key",
    "huggingfacehub_api_token",
    "sambanova_api_key",
    "aiml_api_key",
    "azure_openai_api_key",
    "token",
)

#: Where the address of a server may stand. ``ollama_base_url`` counts for Ollama only: newer
#: releases write its default beside every provider.
URL_FIELDS: Final = (
    "base_url",
    "openai_api_base",
    "mistral_api_base",
    "groq_api_base",
    "aiml_api_base",
    "anthropic_api_url",
    "azure_endpoint",
    "api_base",
    "sambanova_url",
    "endpoint_url",
)
OLLAMA_URL: Final = "ollama_base_url"

#: Where a model may arrive over an edge.
MODEL_FIELDS: Final = ("model", "llm", "agent_llm")

CHOICE_INPUTS: Final = (
    Input("model", "any", accepts=("LanguageModel",), info="a connected model, or the model to use"),
    Input("llm", "any", accepts=("LanguageModel",), info="older name of model"),
    Input("agent_llm", "any", accepts=("LanguageModel",), info="the provider, or a connected model"),
    Input("provider", "str", info="the provider; takes precedence over model"),
    Input(
        "model_name", "str", aliases=("model_id", "deployment_name"), info="the model name; takes precedence over model"
    ),
    Input("azure_deployment", "str"),
    *(Input(name, "secret") for name in KEY_FIELDS),
    *(Input(name, "str") for name in URL_FIELDS),
    Input(OLLAMA_URL, "secret", info="address of an Ollama server"),
)

OPTION_INPUTS: Final = (
    Input("temperature", "float"),
    Input("max_tokens", "int", info="maximum length of the answer; 0: the provider's default"),
    Input("max_output_tokens", "int", info="older name of max_tokens"),
    Input("top_p", "float"),
    Input("seed", "int", aliases=("random_seed",)),
    Input("stop_tokens", "str", aliases=("stop_sequence",), info="stop sequences, separated by commas"),
    Input("json_mode", "bool", default=False, info="ask for a JSON object"),
    Input("model_kwargs", "dict", default={}, info="additional members of the request"),
    Input("timeout", "float", info="seconds to wait for data; default 120"),
    Input("max_retries", "int", info="retries after 429, 5xx and broken connections; default 2"),
)

HISTORY_INPUTS: Final = (
    Input(
        "history",
        "any",
        accepts=("Table", "Data", "Message"),
        aliases=("chat_history",),
        info="earlier messages, as rows or text, to include as turns of the conversation",
    ),
    Input("n_messages", "int", default=100, info="maximum turns of the history, the newest; 0 for none"),
    Input("history_tokens", "int", default=0, info="approximate maximum tokens of the history; 0: no limit"),
)

MODEL_INPUTS: Final = (*CHOICE_INPUTS, *OPTION_INPUTS)


def read_pairs(value: Any) -> dict[str, Any]:
    """Return an object, or a table of ``key`` and ``value``, as a dict; blank ones are left out."""
    rows: Iterable[Any]
    if isinstance(value, Mapping):
        rows = [value] if set(value) == {"key", "value"} else [{"key": k, "value": v} for k, v in value.items()]
    else:
        rows = value if isinstance(value, (list, tuple)) else []
    found = {}
    for row in rows:
        if isinstance(row, Mapping) and row.get("key") and row.get("value") not in (None, ""):
            found[str(row["key"])] = row["value"]
    return found
