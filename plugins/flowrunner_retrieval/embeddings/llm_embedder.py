"""Embedding models of ``llm`` plugins."""

from __future__ import annotations

import importlib
from array import array
from collections.abc import Sequence

from flowrunner_models.failures import ModelNotInstalled

from flowrunner import CancelToken

from .embedder import Embedder, EmbeddingFailed, Vector

_BATCH = 64


class LlmEmbedder(Embedder):
    """An embedding model of an ``llm`` plugin, by the id or alias that the plugin gives it."""

    def __init__(self, model: str) -> None:
        self.name = f"llm:{model}"
        self._model = model

    def embed(self, texts: Sequence[str], *, cancelled: CancelToken | None = None) -> list[Vector[float]]:
        """Return a vector for each text; see :class:`Embedder`."""
        cancelled = CancelToken() if cancelled is None else cancelled
        try:
            llm = importlib.import_module("llm")
        except ImportError:
            raise ModelNotInstalled("the provider llm needs pip install 'flask-flowrunner[llm]'") from None
        try:
            model = llm.get_embedding_model(self._model)
        except llm.UnknownModelError as error:
            known = ", ".join(sorted(llm.get_embedding_model_aliases())) or "none"
            raise EmbeddingFailed(f"llm has no embedding model {self._model[:80]}; it has {known}") from error
        found: list[Vector[float]] = []
        for start in range(0, len(texts), _BATCH):
            cancelled.raise_if_set()
            try:
                found += [array("f", one) for one in model.embed_multi(list(texts[start : start + _BATCH]))]
            except Exception as error:
                raise EmbeddingFailed(f"the embedding model {self._model} failed: {error}") from error
        return found
