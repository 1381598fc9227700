"""Create an embedding model from the settings of a vertex."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from flowrunner_models.connections import Connections
from flowrunner_models.failures import ModelKeyMissing
from flowrunner_models.fields import read_pairs
from flowrunner_models.keys import find_key, no_key
from flowrunner_models.model_choice import Choice
from flowrunner_models.servers import Server, chosen_by, find_server, is_own_address, own_url

from flowrunner import RunContext

from .embedder import Embedder
from .llm_embedder import LlmEmbedder
from .local_embedder import open_local_embedder
from .model_choice import choose
from .openai_embedder import OpenAIEmbedder

_LONGEST: Final = 86400.0


def make_embedder(
    context: RunContext, values: Mapping[str, Any], *, connections: Connections, usual: str = ""
) -> Embedder:
    """Return the embedding model that settings mean.

    :param usual: provider that the type of the component stands for.
    :raises ModelFailed: if none is chosen, or its key is missing.
    """
    settings = context.settings
    default, force = getattr(settings, "embedding", ""), getattr(settings, "embedding_force", False)
    meant = partial(choose, usual=usual, default=default, force=force)
    choice = meant(values)
    if choice.provider.kind == "local":
        return open_local_embedder(getattr(settings, "local_embeddings", None), getattr(settings, "local_model", None))
    if choice.provider.kind == "llm" and not own_url(settings, choice.provider):
        return LlmEmbedder(choice.model)
    chosen = chosen_by(context, values, choice, meant)
    server = find_server(context, values, choice.provider, chosen=chosen)
    return _openai_embedder(context, values, choice, server, connections)


def _openai_embedder(
    context: RunContext, values: Mapping[str, Any], choice: Choice, server: Server, connections: Connections
) -> Embedder:
    provider = choice.provider
    key = find_key(context, values, provider, server)
    if not key and provider.keys and is_own_address(server.url, provider):
        raise ModelKeyMissing(no_key(context, provider, server))
    timeout, retries = values.get("request_timeout") or values.get("timeout"), values.get("max_retries")
    return OpenAIEmbedder(
        connections,
        provider=provider.name,
        model=choice.model,
        base_url=server.url.removesuffix("/embeddings"),
        key=key,
        dimensions=values.get("dimensions") or None,
        batch=values.get("chunk_size") or 256,
        timeout=min(_LONGEST, timeout) if timeout and timeout > 0 else 120.0,
        retries=min(10, retries) if isinstance(retries, int) and retries >= 0 else 2,
        extra=read_pairs(values.get("model_kwargs")) if server.takes(context.given("model_kwargs").secret) else {},
        addresses=server.addresses,
    )
