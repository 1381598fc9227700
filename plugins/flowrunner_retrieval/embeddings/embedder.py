"""The protocol of an embedding model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from array import array
from collections.abc import Sequence

from flowrunner import CancelToken

Vector = array  # of single-precision floats


class EmbeddingFailed(ValueError):
    """A model gave no vectors; the text says why in one sentence."""


class Embedder(ABC):
    """A model that turns texts into vectors; what travels over edges of the type ``Embeddings``."""

    #: The provider and the model, as in ``OpenAI:text-embedding-3-small``; vectors of two names do not compare.
    name: str = ""

    @abstractmethod
    def embed(self, texts: Sequence[str], *, cancelled: CancelToken | None = None) -> list[Vector[float]]:
        """Return a vector for each text.

        :raises EmbeddingFailed: if they did not all come.
        """
