"""Convert texts and rows to chunks of a collection."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from flowrunner import Chunk, Message, OwnerVectors, RunContext, json_text, new_id

from ..embeddings.embedder import Embedder
from ..splitters.texts import rows_of

#: Where a chunk keeps the name of the model that made its vector; not shown.
MODEL_KEY: Final = "_embedding"
#: Members that name what a text was cut from, the most telling first.
_DOCUMENTS: Final = ("file_path", "url", "source", "file_name", "filename", "document", "title")
#: Chunks that are embedded and stored at a time, so that a long ingestion can be stopped.
_STEP: Final = 1000


def ingest(
    context: RunContext,
    vectors: OwnerVectors,
    collection: str,
    embedder: Embedder,
    items: Any,
    *,
    twice: bool = False,
    text_key: str = "text",
) -> int:
    """Store what arrives in a collection and return how many chunks were embedded.

    A chunk that is there already, of the same text, document and model, is not embedded again.

    :param twice: store the same text once more instead.
    """
    chunks = make_chunks(items, embedder.name, twice=twice, text_key=text_key)
    stored = 0
    for start in range(0, len(chunks), _STEP):
        part = chunks[start : start + _STEP]
        known = {} if twice else _known(vectors, collection, part, embedder.name)
        new = [chunk for chunk in part if chunk.id not in known]
        if not new:
            continue
        made = embedder.embed([chunk.text for chunk in new], cancelled=context.cancelled)
        filled = [
            Chunk(chunk.id, chunk.text, vector, chunk.document, chunk.metadata)
            for chunk, vector in zip(new, made, strict=True)
        ]
        stored += vectors.upsert(collection, filled)
    return stored


def make_chunks(items: Any, model: str, *, twice: bool = False, text_key: str = "text") -> list[Chunk]:
    """Return chunks without vectors, each text of a document once."""
    made: dict[str, Chunk] = {}
    for text, metadata in rows_of(items, text_key):
        text = whole_text(text)
        if not text.strip():
            continue
        plain = _plain(metadata)
        document = document_of(plain)
        name = new_id() if twice else hashlib.sha256(f"{document}\0{text}".encode("utf-8", "replace")).hexdigest()[:32]
        made[name] = Chunk(name, text, (), document, {**plain, MODEL_KEY: model})
    return list(made.values())


def whole_text(text: str) -> str:
    """Return a text with a question mark in place of half characters, which no model takes."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def document_of(metadata: Mapping[str, Any]) -> str:
    """Return the name of what a text was cut from; empty where nothing tells."""
    for name in _DOCUMENTS:
        value = metadata.get(name)
        if isinstance(value, str) and value:
            return value
    return ""


def row_of(chunk: Chunk, text_key: str = "text") -> dict[str, Any]:
    """Return a chunk as a row: its text and its metadata."""
    return {text_key: chunk.text, **{name: value for name, value in chunk.metadata.items() if name != MODEL_KEY}}


def _known(vectors: OwnerVectors, collection: str, chunks: Sequence[Chunk], model: str) -> set[str]:
    found = vectors.fetch(collection, ids=tuple(chunk.id for chunk in chunks))
    return {chunk.id for chunk in found if chunk.metadata.get(MODEL_KEY) == model}


def _plain(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return metadata as JSON; what JSON does not know becomes text."""
    try:
        found = json.loads(json_text({k: v.text if isinstance(v, Message) else v for k, v in metadata.items()}))
    except (TypeError, ValueError, RecursionError):
        found = {str(name): str(value)[:10_000] for name, value in metadata.items()}
    return found if isinstance(found, dict) else {}
