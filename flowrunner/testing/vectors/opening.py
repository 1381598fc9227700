"""Open the vector store under test, and share fixtures among the groups."""

from __future__ import annotations

import inspect
from array import array
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar, Final

import pytest

from flowrunner.testing.memory.promises import quoting
from flowrunner.vectors import Chunk, ChunkQuery, VectorStore

ANN: Final = "ann"
BOB: Final = "bob"
SHELF: Final = "shelf"


class StoreTests:
    """The base class of all groups of tests. Authors override its methods and attributes."""

    #: The name of the group.
    group: ClassVar[str] = ""
    #: How often the group on crashes kills a writing process.
    kills: ClassVar[int] = 3

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Let the tests of a group quote the contract when they fail."""
        super().__init_subclass__(**kwargs)
        if "group" in vars(cls):
            for name, test in list(vars(cls).items()):
                if name.startswith("test_") and inspect.isfunction(test) and test.__doc__:
                    setattr(cls, name, quoting(test, "flowrunner.VectorStore"))

    def open_store(self, folder: Path) -> VectorStore:
        """Open the store in an empty folder, or in one that an earlier store used.

        It is also called in processes started by the kit, without pytest: it may use the folder and environment
        variables, but no fixtures.
        """
        raise NotImplementedError("A test class must define open_store(folder).")

    def break_writes(self, store: VectorStore) -> AbstractContextManager[None] | None:
        """Return a context manager within which writes fail, as on a full disk; None if this is not possible."""
        return None

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        """Return the folder of one test."""
        return tmp_path

    @pytest.fixture
    def store(self, folder: Path) -> Iterator[VectorStore]:
        """Open the store for one test."""
        store = self.open_store(folder)
        yield store
        store.close()


def make_chunk(number: int, *, size: int = 4, **members: Any) -> Chunk:
    """Return a chunk with its own direction: chunk ``n`` points mostly along axis ``n``."""
    vector = array("f", [0.0] * size)
    vector[number % size] = 1.0
    vector[(number + 1) % size] = number / 1000
    given = {"id": f"c{number}", "text": f"text {number}", "document": f"d{number % 3}", "metadata": {"n": number}}
    return Chunk(**{**given, "vector": vector, **members})


def fill(store: VectorStore, count: int = 6, *, owner: str = ANN, collection: str = SHELF) -> list[Chunk]:
    """Store chunks ``c0``, ``c1`` and so on, of the documents ``d0`` to ``d2`` in turn."""
    chunks = [make_chunk(number) for number in range(count)]
    assert store.upsert_chunks(owner, collection, chunks) == count
    return chunks


def query(owner: str = ANN, collection: str = SHELF, **members: Any) -> ChunkQuery:
    """Return a query; by default for the collection ``shelf`` of the owner ``ann``."""
    return ChunkQuery(owner, collection, **members)


def ids(store: VectorStore, owner: str = ANN, collection: str = SHELF, **members: Any) -> list[str]:
    """Return the ids of the chunks that a query means."""
    return [chunk.id for chunk in store.fetch_chunks(query(owner, collection, **members))]


def found(store: VectorStore, vector: Sequence[float], **members: Any) -> list[str]:
    """Return the ids of the chunks that a search finds."""
    return [hit.chunk.id for hit in store.search_chunks(query(**members), vector)]


def plain(chunk: Chunk) -> tuple[Any, ...]:
    """Return a chunk in a comparable form, independent of the type of its vector."""
    return (chunk.id, chunk.text, chunk.document, chunk.metadata, list(array("f", chunk.vector)))
