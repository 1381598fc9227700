"""Chunks: pieces of a document with their vector, and filters on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flowrunner.errors import ChunkInvalid


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of text and its vector.

    ``id`` is unique in the collection. ``document`` names the source of the text, such as a file; documents are
    listed and deleted by this name. ``vector`` is any sequence of numbers; a store returns an ``array`` of
    single-precision floats. ``metadata`` is a JSON object.
    """

    id: str
    text: str
    vector: Sequence[float]
    document: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Hit:
    """A chunk found by a search. ``score`` is the cosine of the angle between the vectors, from -1 to 1."""

    chunk: Chunk
    score: float


@dataclass(frozen=True, slots=True)
class ChunkQuery:
    """Which chunks of a collection are meant. All members that are set must hold (AND).

    ``owner`` and ``collection`` are required. ``ids`` keeps chunks with one of the ids; an empty tuple means none.
    ``document`` keeps chunks of that document. ``where`` keeps chunks whose metadata has all its members with equal
    values; values are equal if they are the same JSON (``1`` is not ``true``). ``limit`` and ``offset`` are applied
    last, in order, or best first in a search.

    :raises ChunkInvalid: if owner or collection is empty.
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
            raise ChunkInvalid("A query for chunks needs an owner and a collection.")

    def matches(self, chunk: Chunk) -> bool:
        """Return whether the query means a chunk of its owner and collection, ignoring ``limit`` and ``offset``."""
        if self.ids is not None and chunk.id not in self.ids:
            return False
        if self.document is not None and chunk.document != self.document:
            return False
        return self.matches_metadata(chunk.metadata)

    def matches_metadata(self, metadata: Mapping[str, Any]) -> bool:
        """Return whether metadata has all members of ``where``."""
        return all(name in metadata and same_json(metadata[name], value) for name, value in self.where.items())

    def window(self, chunks: Sequence[Chunk]) -> list[Chunk]:
        """Return the part of the matching chunks that ``offset`` and ``limit`` select."""
        end = None if self.limit is None else self.offset + max(0, self.limit)
        return list(chunks[self.offset : end])


@dataclass(frozen=True, slots=True)
class CollectionSummary:
    """A collection and its size. A collection without chunks does not exist."""

    name: str
    chunks: int
    documents: int
    dimensions: int


@dataclass(frozen=True, slots=True)
class DocumentSummary:
    """A document of a collection, and the number of its chunks."""

    name: str
    chunks: int


def same_json(one: Any, other: Any) -> bool:
    """Return whether two JSON values are equal; unlike in Python, ``1`` and ``True`` are not."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same_json(one[name], other[name]) for name in one)
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(same_json, one, other))
    return bool(one == other)
