"""Embeddings in this process, computed by ``xllamacpp``; nothing is downloaded."""

from __future__ import annotations

import json
import threading
from array import array
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from flowrunner_models.failures import ModelNotInstalled
from flowrunner_models.local_model import find_weights

from flowrunner import CancelToken

from ..extras import import_extra
from .embedder import Embedder, EmbeddingFailed, Vector

_CONTEXT: Final = 2048
#: Characters of a text that are looked at: what surely fits into the context.
_LONGEST: Final = 4000
_BATCH: Final = 16

#: What texts are like in general. A model for chats puts all texts into one narrow cone; measured from
#: the middle of these, in units of their spread, its vectors tell subjects apart.
_COMMON: Final = (
    "The weather was cold and it rained all day.",
    "Please send the report to the office before noon.",
    "She plays the violin in an orchestra.",
    "Water boils at one hundred degrees.",
    "The train to the city leaves every hour.",
    "Prices rose by three percent last year.",
    "How do I change my password?",
    "The cat slept on the warm roof.",
    "Open the file and save it under another name.",
    "Two teams played and neither won.",
    "A doctor should look at this wound.",
    "They built the bridge in 1932.",
    "What is the capital of the country?",
    "Mix flour, sugar and eggs in a bowl.",
    "The law forbids it without a permit.",
    "Light travels faster than sound.",
)


class LocalEmbedder(Embedder):
    """A GGUF file: an embedding model, or the chat model of this machine, whose vectors are then set to rights."""

    def __init__(self, path: Path, *, own: bool) -> None:
        self.name = f"local:{path.stem}"
        self._path, self._own = path, own

    def embed(self, texts: Sequence[str], *, cancelled: CancelToken | None = None) -> list[Vector[float]]:
        """Return a vector for each text; see :class:`Embedder`."""
        cancelled = CancelToken() if cancelled is None else cancelled
        engine = _ENGINES.get(self._path, own=self._own)
        found: list[Vector[float]] = []
        for start in range(0, len(texts), _BATCH):
            cancelled.raise_if_set()
            found += engine.embed(texts[start : start + _BATCH])
        return found


class _Engine:
    """A loaded file. One call at a time: it has one thread, and more of them wait for each other."""

    def __init__(self, path: Path, *, own: bool) -> None:
        self._lock = threading.Lock()
        self._server = _load(path, own=own)
        self._middle: Any = None
        self._spread: Any = None
        if not own:
            rows = self._unit(self._raw(_COMMON))
            self._middle = rows.mean(axis=0)
            self._spread = rows.std(axis=0) + 1e-4

    def embed(self, texts: Sequence[str]) -> list[Vector[float]]:
        rows = self._raw(texts)
        if self._middle is None:
            return [array("f", row) for row in rows]
        made = (self._unit(rows) - self._middle) / self._spread
        return [array("f", row) for row in made.tolist()]

    def _raw(self, texts: Sequence[str]) -> list[list[float]]:
        body = {"model": "local", "input": [(text[:_LONGEST] or " ") for text in texts]}
        with self._lock:
            answer = self._server.handle_embeddings(json.dumps(body))
        answer = json.loads(answer) if isinstance(answer, str) else answer
        rows = answer.get("data") if isinstance(answer, Mapping) else None
        if not isinstance(rows, list) or len(rows) != len(texts):
            raise EmbeddingFailed("the local model returned no vectors")
        return [row["embedding"] for row in sorted(rows, key=lambda row: int(row["index"]))]

    def _unit(self, rows: Sequence[Sequence[float]]) -> Any:
        np = import_extra("numpy", "The provider local")
        matrix = np.asarray(rows, dtype=np.float32)
        return matrix / (np.linalg.norm(matrix, axis=1, keepdims=True) + 1e-12)


class _Engines:
    """The files that are loaded; weights are the same for every app of a process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loaded: dict[Path, _Engine] = {}

    def get(self, path: Path, *, own: bool) -> _Engine:
        with self._lock:
            if path not in self._loaded:
                self._loaded[path] = _Engine(path, own=own)
            return self._loaded[path]


_ENGINES: Final = _Engines()


def open_local_embedder(given: Path | None, chat_model: Path | None) -> LocalEmbedder:
    """Return the embedding model of this machine.

    :param given: the operator's GGUF file of an embedding model.
    :param chat_model: the operator's file for chats; without either, weights of an installed package.
    :raises ModelNotInstalled: if there is none, saying what to install.
    """
    if given is not None and not given.is_file():
        raise ModelNotInstalled(f"FLOWRUNNER_LOCAL_EMBEDDINGS names {given.name}, which is not there")
    path = find_weights("", given if given is not None else chat_model)
    return LocalEmbedder(path, own=given is not None)


def _load(path: Path, *, own: bool) -> Any:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.n_ctx = params.n_batch = params.n_ubatch = _CONTEXT
    params.n_parallel = 1
    params.cpuparams.n_threads = 1
    params.cpuparams_batch.n_threads = 1
    params.embedding = True
    params.verbosity = -1
    if not own:
        params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    try:
        return xllamacpp.Server(params)
    except Exception as error:
        raise EmbeddingFailed(f"the model file {path.name} cannot be loaded") from error
