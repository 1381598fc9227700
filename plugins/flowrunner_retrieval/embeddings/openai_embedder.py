"""Embedding models on OpenAI-compatible servers, through the ``openai`` SDK."""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from flowrunner_models.connections import Connections
from flowrunner_models.openai_model import TryAgain, delay_of, host_of

from flowrunner import CancelToken, RunCancelled

from .embedder import Embedder, EmbeddingFailed, Vector

#: Texts and characters of one request at most; servers have limits of their own.
_MOST_TEXTS: Final = 256
_MOST_CHARACTERS: Final = 200_000


class OpenAIEmbedder(Embedder):
    """An embedding model of an OpenAI-compatible server.

    :param addresses: looks a host up and refuses private ones; for a server that a request named.
    :param dimensions: how many the vectors shall have; None leaves it to the model.
    """

    def __init__(
        self,
        connections: Connections,
        *,
        provider: str,
        model: str,
        base_url: str,
        key: str,
        dimensions: int | None = None,
        batch: int = _MOST_TEXTS,
        timeout: float = 120.0,
        retries: int = 2,
        extra: Mapping[str, Any] | None = None,
        addresses: Callable[[], Mapping[str, str]] | None = None,
    ) -> None:
        self.name = f"{provider}:{model}" + (f":{dimensions}" if dimensions else "")
        self._connections, self._provider, self._model = connections, provider, model
        self._base_url, self._key, self._addresses = base_url, key, addresses
        self._dimensions, self._batch = dimensions, max(1, min(batch, _MOST_TEXTS))
        self._timeout, self._retries, self._extra = timeout, retries, dict(extra or {})

    def embed(self, texts: Sequence[str], *, cancelled: CancelToken | None = None) -> list[Vector[float]]:
        """Return a vector for each text; see :class:`Embedder`."""
        cancelled = CancelToken() if cancelled is None else cancelled
        found: list[Vector[float]] = []
        for part in batches(texts, self._batch, _MOST_CHARACTERS):
            cancelled.raise_if_set()
            found += self._asked(part, cancelled)
        return found

    def _asked(self, texts: Sequence[str], cancelled: CancelToken) -> list[Vector[float]]:
        for attempt in range(self._retries + 1):
            try:
                return self._once(texts, cancelled)
            except TryAgain as again:
                if attempt == self._retries:
                    raise again.failure from again.__cause__
                again.wait(cancelled, attempt)
        raise AssertionError("unreachable")

    def _once(self, texts: Sequence[str], cancelled: CancelToken) -> list[Vector[float]]:
        addresses = self._addresses() if self._addresses is not None else None
        # An empty text is refused by many servers; a blank one means as little.
        body: dict[str, Any] = {"model": self._model, "input": [text or " " for text in texts]}
        if self._dimensions:
            body["dimensions"] = self._dimensions
        with self._connections.use(self._base_url, self._key, addresses=addresses) as connection:
            forget = cancelled.call_when_set(connection.abort)
            try:
                ask = connection.client.embeddings.with_raw_response.create
                raw = ask(**body, encoding_format="float", extra_body=self._extra or None, timeout=self._timeout)
                return read_vectors(json.loads(raw.content), len(texts))
            except (RunCancelled, EmbeddingFailed):
                raise
            except Exception as error:
                cancelled.raise_if_set()
                raise self._failure(error) from error
            finally:
                forget()

    def _failure(self, error: Exception) -> Exception:
        import openai

        if isinstance(error, openai.APITimeoutError):
            return TryAgain(EmbeddingFailed(f"{self._provider} did not answer in time"))
        if isinstance(error, openai.APIStatusError):
            body = error.body if isinstance(error.body, Mapping) else {}
            said = str(body.get("message") or f"{self._provider} answered with status {error.status_code}")[:1000]
            if error.status_code == 429 or error.status_code >= 500:
                return TryAgain(EmbeddingFailed(said), delay_of(error))
            return EmbeddingFailed(said)
        if isinstance(error, openai.APIConnectionError):
            return TryAgain(EmbeddingFailed(f"{self._provider} cannot be reached at {host_of(self._base_url)}"))
        return EmbeddingFailed("the answer is not JSON") if isinstance(error, json.JSONDecodeError) else error


def batches(texts: Sequence[str], most: int, characters: int) -> Iterator[Sequence[str]]:
    """Yield texts in parts of so many texts and characters at most; a longer text stands alone."""
    start, size = 0, 0
    for place, text in enumerate(texts):
        if place > start and (place - start >= most or size + len(text) > characters):
            yield texts[start:place]
            start, size = place, 0
        size += len(text)
    if start < len(texts):
        yield texts[start:]


def read_vectors(answer: Any, count: int) -> list[Vector[float]]:
    """Return the vectors of an answer, in the order of the texts.

    :raises EmbeddingFailed: if it is none, or has other than so many.
    """
    rows = answer.get("data") if isinstance(answer, Mapping) else None
    if not isinstance(rows, list) or len(rows) != count:
        raise EmbeddingFailed(f"the answer does not contain vectors for {count} texts")
    try:
        if all(isinstance(row.get("index"), int) for row in rows):
            rows = sorted(rows, key=lambda row: int(row["index"]))
        return [array("f", row["embedding"]) for row in rows]
    except (AttributeError, KeyError, TypeError, OverflowError) as error:
        raise EmbeddingFailed("the answer contains something that is not a vector") from error
