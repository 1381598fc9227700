"""Chunks: pieces of a document with their vector, and filters on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flowrunner.errors import ChunkInvalid


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of text with the vector that stands for it.

    ``id`` is its own within its collection. ``document`` names what it was cut from, such as a file;
    documents are listed and deleted by that name. ``vector`` is any sequence of numbers; from a store
    it comes back as an ``array`` of single-precision floats. ``metadata`` is a JSON object.
    """

    id: str
    text: str
    vector: Sequence[float]
    document: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Hit:
    """A chunk that a search found. ``score`` is the cosine of the angle between both vectors, from -1 to 1."""

    chunk: Chunk
    score: float


@dataclass(frozen=True, slots=True)
class ChunkQuery:
    """Which chunks of a collection are meant: those that fulfil all members.

    ``owner`` and ``collection`` are not optional. ``ids`` and ``document`` name chunks and what they
    were cut from. ``where`` names members of the metadata and their values; a value is equal if it is
    the same JSON (``1`` is no ``true``). ``limit`` and ``offset`` count in order of insertion, in a
    search best first.

    :raises ChunkInvalid: without an owner or a collection.
    """

    owner: str
    collection: str
    ids: tuple[str, ...] | None = None
    document: str | None = None
    where: Mapping[str, Any] = field(default_factory=dict)
    limit: int | None = None
    offset: int = 0

    def __post_init__(self) -> None:
        if not self.owner or not self.collection:
            raise ChunkInvalid("Chunks belong to one owner and one collection; set both.")

    def matches(self, chunk: Chunk) -> bool:
        """Return whether a chunk of this owner and collection is meant, whatever ``limit`` and ``offset`` say."""
        if self.ids is not None and chunk.id not in self.ids:
            return False
        if self.document is not None and chunk.document != self.document:
            return False
        return self.matches_metadata(chunk.metadata)

    def matches_metadata(self, metadata: Mapping[str, Any]) -> bool:
        """Return whether metadata has all that ``where`` names."""
        return all(name in metadata and same_json(metadata[name], value) for name, value in self.where.items())

    def window(self, chunks: Sequence[Chunk]) -> list[Chunk]:
        """Return the chunks that ``offset`` and ``limit`` leave of those that match."""
        end = None if self.limit is None else self.offset + max(0, self.limit)
        return list(chunks[self.offset : end])


@dataclass(frozen=True, slots=True)
class CollectionSummary:
    """What is known of a collection; one without chunks does not exist."""

    name: str
    chunks: int
    documents: int
    dimensions: int


@dataclass(frozen=True, slots=True)
class DocumentSummary:
    """A document of a collection, and how many chunks it has."""

    name: str
    chunks: int


def same_json(one: Any, other: Any) -> bool:
    """Return whether two JSON values are the same; in Python ``1 == True``, in JSON it is not."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same_json(one[name], other[name]) for name in one)
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(same_json, one, other))
    return bool(one == other)
