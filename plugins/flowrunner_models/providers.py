"""The table of providers: addresses, names of keys, and names in flows."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["openai", "llm", "local"]


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider of models.

    ``keys`` are names of variables that may hold its API key, the usual one first; empty where
    none is needed. ``path`` is put behind a base URL that has no path of its own. ``schemas`` says
    whether it takes a JSON schema for its answers.
    """

    name: str
    kind: Kind = "openai"
    base_url: str = ""
    keys: tuple[str, ...] = ()
    path: str = ""
    model: str = ""
    aliases: tuple[str, ...] = ()
    schemas: bool = True


PROVIDERS: Final[tuple[Provider, ...]] = (
    Provider(
        "OpenAI",
        base_url="https://api.openai.com/v1",
        keys=("OPENAI_API_KEY",),
        path="/v1",
        model="gpt-4o-mini",
        aliases=("ChatOpenAI",),
    ),
    Provider(
        "Anthropic",
        base_url="https://api.anthropic.com/v1",
        keys=("ANTHROPIC_API_KEY",),
        path="/v1",
        model="claude-sonnet-4-5",
        aliases=("Claude",),
        schemas=False,
    ),
    Provider(
        "Google Generative AI",
        base_url="https://generativelanguage.googleapis.com/v1beta/openai",
        keys=("GOOGLE_API_KEY", "GEMINI_API_KEY"),
        model="gemini-2.5-flash",
        aliases=("Google", "Gemini"),
    ),
    Provider(
        "Groq",
        base_url="https://api.groq.com/openai/v1",
        keys=("GROQ_API_KEY",),
        path="/openai/v1",
        model="llama-3.1-8b-instant",
        schemas=False,
    ),
    Provider(
        "Mistral",
        base_url="https://api.mistral.ai/v1",
        keys=("MISTRAL_API_KEY",),
        path="/v1",
        model="mistral-small-latest",
        aliases=("MistralAI",),
    ),
    Provider(
        "Cohere",
        base_url="https://api.cohere.ai/compatibility/v1",
        keys=("COHERE_API_KEY",),
        model="command-r-08-2024",
        aliases=("Cohere Language Models",),
    ),
    Provider(
        "OpenRouter",
        base_url="https://openrouter.ai/api/v1",
        keys=("OPENROUTER_API_KEY",),
        path="/api/v1",
        model="openrouter/auto",
    ),
    Provider(
        "DeepSeek",
        base_url="https://api.deepseek.com",
        keys=("DEEPSEEK_API_KEY",),
        model="deepseek-chat",
        schemas=False,
    ),
    Provider("xAI", base_url="https://api.x.ai/v1", keys=("XAI_API_KEY",), path="/v1", model="grok-4"),
    Provider(
        "Perplexity", base_url="https://api.perplexity.ai", keys=("PERPLEXITY_API_KEY", "PPLX_API_KEY"), model="sonar"
    ),
    Provider(
        "NVIDIA",
        base_url="https://integrate.api.nvidia.com/v1",
        keys=("NVIDIA_API_KEY",),
        path="/v1",
        model="meta/llama-3.1-8b-instruct",
    ),
    Provider(
        "SambaNova",
        base_url="https://api.sambanova.ai/v1",
        keys=("SAMBANOVA_API_KEY",),
        path="/v1",
        model="Meta-Llama-3.1-8B-Instruct",
    ),
    Provider(
        "Novita",
        base_url="https://api.novita.ai/v3/openai",
        keys=("NOVITA_API_KEY",),
        path="/v3/openai",
        model="meta-llama/llama-3.1-8b-instruct",
        aliases=("Novita AI",),
    ),
    Provider(
        "Hugging Face",
        base_url="https://router.huggingface.co/v1",
        keys=("HUGGINGFACEHUB_API_TOKEN", "HF_TOKEN"),
        path="/v1",
        model="meta-llama/Llama-3.1-8B-Instruct",
        aliases=("HuggingFace",),
    ),
    Provider(
        "AI/ML API",
        base_url="https://api.aimlapi.com/v1",
        keys=("AIML_API_KEY",),
        path="/v1",
        model="gpt-4o-mini",
        aliases=("AIML",),
    ),
    Provider(
        "Maritaca",
        base_url="https://chat.maritaca.ai/api",
        keys=("MARITALK_API_KEY",),
        model="sabia-3",
        aliases=("Maritalk",),
    ),
    Provider(
        "CometAPI", base_url="https://api.cometapi.com/v1", keys=("COMETAPI_KEY",), path="/v1", model="gpt-4o-mini"
    ),
    Provider(
        "Baidu Qianfan",
        base_url="https://qianfan.baidubce.com/v2",
        keys=("QIANFAN_API_KEY",),
        path="/v2",
        model="ernie-4.0-8k",
        aliases=("Qianfan",),
    ),
    Provider(
        "Azure OpenAI", keys=("AZURE_OPENAI_API_KEY",), path="/openai/v1", model="gpt-4o-mini", aliases=("Azure",)
    ),
    Provider("Ollama", base_url="http://localhost:11434/v1", path="/v1", aliases=("Ollama Local",)),
    Provider("LM Studio", base_url="http://localhost:1234/v1", path="/v1", aliases=("LMStudio",)),
    Provider("vLLM", base_url="http://localhost:8000/v1", path="/v1"),
    Provider(
        "IBM watsonx.ai",
        keys=("WATSONX_APIKEY", "WATSONX_API_KEY"),
        aliases=("IBM WatsonX", "watsonx"),
        kind="llm",
        model="watsonx/ibm/granite-3-8b-instruct",
    ),
    Provider("Amazon Bedrock", kind="llm", aliases=("Bedrock", "AWS Bedrock")),
    Provider("Vertex AI", kind="llm", aliases=("VertexAI", "Google Vertex AI")),
    Provider("llm", kind="llm"),
    Provider("local", kind="local", model="SmolLM2-135M-Instruct", aliases=("on this machine",)),
)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "", name.lower())


_BY_NAME: Final = {_plain(word): entry for entry in PROVIDERS for word in (entry.name, *entry.aliases)}


def find_provider(name: str) -> Provider | None:
    """Return the provider of a name, however it is spelled; None if nobody is called so."""
    return _BY_NAME.get(_plain(name))


def near_provider(name: str) -> str:
    """Return the end of a sentence about a provider that there is not: who may be meant; empty where nobody is near."""
    near = difflib.get_close_matches(_plain(name)[:60], _BY_NAME, n=1, cutoff=0.7)
    return f"; did you mean {_BY_NAME[near[0]].name}?" if near else ""
