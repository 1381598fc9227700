"""Embedding Model, and the component types of single providers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from flowrunner_models.connections import Connections
from flowrunner_models.fields import KEY_FIELDS, OLLAMA_URL, URL_FIELDS

from flowrunner import Component, Input, Output, RunContext, text_of

from .embedder import Embedder
from .factory import make_embedder

EMBEDDING_INPUTS: Final = (
    Input("model", "any", accepts=("Embeddings",), info="a connected model, or the model to use"),
    Input("model_name", "str", aliases=("model_id", "deployment"), info="the model name; takes precedence over model"),
    Input("provider", "str", info="the provider; takes precedence over model"),
    Input("azure_deployment", "str"),
    *(Input(name, "secret") for name in KEY_FIELDS),
    *(Input(name, "str") for name in URL_FIELDS if name not in ("base_url", "endpoint_url")),
    Input("base_url", "str", aliases=("inference_endpoint", "endpoint")),
    Input("endpoint_url", "str"),
    Input(OLLAMA_URL, "secret", info="address of an Ollama server"),
    Input("dimensions", "int", info="dimensions of the vectors; default: the model's own"),
    Input("chunk_size", "int", default=1000, info="maximum texts per request"),
    Input("max_retries", "int", info="retries after 429, 5xx and broken connections; default 2"),
    Input("request_timeout", "float", aliases=("timeout",), info="seconds to wait for data; default 120"),
    Input("model_kwargs", "dict", default={}, info="additional members of the request"),
)


class EmbeddingModel(Component):
    """Provide an embedding model to a vector store."""

    type_name = "EmbeddingModel"
    aliases = ("EmbeddingModelComponent",)
    display_name = "Embedding Model"
    asks_destination = True
    inputs = EMBEDDING_INPUTS
    outputs = (Output("embeddings", "Embeddings"),)
    #: The provider that the type stands for, where it stands for one.
    provider_name = ""

    def __init__(self) -> None:
        self.connections = Connections()

    def run(self, context: RunContext, /, **values: Any) -> Mapping[str, Any]:
        """Return the model; nothing is asked yet.

        :raises ModelFailed: if none is chosen, or its key is missing.
        """
        if isinstance(values.get("model"), Embedder):
            return {"embeddings": values["model"]}
        made = make_embedder(context, values, connections=self.connections, usual=self.provider_name)
        return {"embeddings": made}


#: Component types that stand for one provider each: the provider, and other names of the type.
_PROVIDER_TYPES: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "OpenAIEmbeddings": ("OpenAI", ("OpenAIEmbeddingsComponent",)),
    "AzureOpenAIEmbeddings": ("Azure OpenAI", ("AzureOpenAIEmbeddingsComponent",)),
    "OllamaEmbeddings": ("Ollama", ("OllamaEmbeddingsComponent",)),
    "Google Generative AI Embeddings": ("Google Generative AI", ("GoogleGenerativeAIEmbeddingsComponent",)),
    "MistalAIEmbeddings": ("Mistral", ("MistralAIEmbeddings", "MistralAIEmbeddingsComponent")),
    "CohereEmbeddings": ("Cohere", ("CohereEmbeddingsComponent",)),
    "LMStudioEmbeddingsComponent": ("LM Studio", ("LMStudioEmbeddings", "lmstudio_embed_docker")),
    "HuggingFaceInferenceAPIEmbeddings": (
        "Hugging Face",
        ("HuggingFaceEmbeddings", "HuggingFaceInferenceAPIEmbeddingsComponent"),
    ),
    "NVIDIAEmbeddingsComponent": ("NVIDIA", ("NVIDIAEmbeddings",)),
    "AIMLEmbeddings": ("AI/ML API", ("AIMLEmbeddingsComponent",)),
    "AmazonBedrockEmbeddings": ("Amazon Bedrock", ("AmazonBedrockEmbeddingsComponent",)),
    "VertexAIEmbeddings": ("Vertex AI", ("VertexAIEmbeddingsComponent",)),
    "WatsonxEmbeddingsComponent": ("IBM watsonx.ai", ("WatsonxEmbeddings",)),
    "AstraVectorize": ("", ()),
}


def _type_of(type_name: str, provider: str, aliases: tuple[str, ...]) -> type[EmbeddingModel]:
    """Return the component type of one provider."""
    whose = f"an embedding model of {provider}" if provider else "the operator's embedding model"
    return type(
        type_name,
        (EmbeddingModel,),
        {
            "__doc__": f"Provide {whose} to a vector store.",
            "type_name": type_name,
            "aliases": aliases,
            "display_name": f"{provider or 'Vectorize'} Embeddings",
            "provider_name": provider,
        },
    )


EMBEDDING_TYPES: Final[tuple[type[EmbeddingModel], ...]] = (
    EmbeddingModel,
    *(_type_of(name, provider, aliases) for name, (provider, aliases) in _PROVIDER_TYPES.items()),
)


class TextEmbedder(Component):
    """Embed a text as a vector."""

    type_name = "TextEmbedderComponent"
    display_name = "Text Embedder"
    blocking = True
    inputs = (
        Input("embedding_model", "any", required=True, accepts=("Embeddings",)),
        Input("message", required=True, info="the text"),
    )
    outputs = (Output("embeddings", "Data"),)

    def run(self, context: RunContext, /, *, embedding_model: Any, message: Any) -> Mapping[str, Any]:
        """Return the text with its vector.

        :raises ValueError: without a model or a text.
        """
        text = text_of(message)
        if not isinstance(embedding_model, Embedder):
            raise ValueError("embedding_model must be a connected embedding model")
        if not text.strip():
            raise ValueError("there is no text to embed")
        (vector,) = embedding_model.embed([text], cancelled=context.cancelled)
        return {"embeddings": {"text": text, "embeddings": list(vector)}}
