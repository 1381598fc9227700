"""Store, replace, read and delete chunks; supported and refused values."""

from __future__ import annotations

import math
from array import array
from contextlib import AbstractContextManager
from typing import Any, Final

import pytest

from flowrunner.errors import ChunkInvalid, VectorStoreFailed
from flowrunner.testing.vectors.opening import ANN, BOB, SHELF, StoreTests, fill, found, ids, make_chunk, plain, query
from flowrunner.vectors import Chunk, VectorStore

AWKWARD: Final = (
    "a",
    "A",
    "a ",
    "straße",
    "日本語",
    "e\u0301",
    "é",
    "100%",
    "_",
    "'\";--",
    "line\nbreak",
    "🜁",
    "x" * 1000,
    "../x",
)
METADATA: Final[tuple[dict[str, Any], ...]] = (
    {},
    {"": None},
    {"a": {"b": [1, 2.5, True, None, "x"]}, "ключ": "значение"},
    {"page": 0, "ok": False, "text": "own", "big": 2**53, "small": -1e-300},
)


class StoringTests(StoreTests):
    """Chunks are stored once each, in order, and come back as they were."""

    group = "storing and order"

    def test_chunks_come_back_in_order_as_they_were(self, store: VectorStore) -> None:
        """*Order* is the order in which chunks were first stored."""
        chunks = fill(store)
        assert [plain(chunk) for chunk in store.fetch_chunks(query())] == [plain(chunk) for chunk in chunks]
        more = [make_chunk(n) for n in (9, 8)]
        store.upsert_chunks(ANN, SHELF, more)
        assert ids(store) == ["c0", "c1", "c2", "c3", "c4", "c5", "c9", "c8"]

    def test_a_chunk_stored_again_is_replaced_and_keeps_its_place(self, store: VectorStore) -> None:
        """A chunk stored again under its id is replaced and keeps its position."""
        fill(store, 3)
        new = Chunk("c1", "new", [0, 0, 0, 5], "other", {"n": "new"})
        assert store.upsert_chunks(ANN, SHELF, [make_chunk(7), new]) == 2
        assert ids(store) == ["c0", "c1", "c2", "c7"]
        assert plain(store.fetch_chunks(query(ids=("c1",)))[0]) == plain(new)
        assert found(store, [0, 0, 0, 1], limit=1) == ["c1"]

    def test_values_come_back_character_by_character(self, store: VectorStore) -> None:
        """*Values* come back as they went in: texts, ids and names of any characters except NUL and lone surrogates,
        metadata as JSON.
        """
        chunks = [
            Chunk(text, text * 2, array("f", [n + 1, 0.1]), text, METADATA[n % len(METADATA)])
            for n, text in enumerate(AWKWARD)
        ]
        store.upsert_chunks(ANN, SHELF, chunks)
        assert [plain(chunk) for chunk in store.fetch_chunks(query())] == [plain(chunk) for chunk in chunks]
        for text in AWKWARD:
            assert ids(store, ids=(text,)) == [text]
            assert ids(store, document=text) == [text]
        assert {one.name for one in store.list_documents(ANN, SHELF)} == set(AWKWARD)

    def test_names_of_owners_and_collections_are_exact(self, store: VectorStore) -> None:
        """*Values* come back as they went in: texts, ids and names of any characters except NUL and lone surrogates,
        metadata as JSON.
        """
        for name in AWKWARD:
            store.upsert_chunks(ANN, name, [make_chunk(1, id=name)])
            store.upsert_chunks(name, SHELF, [make_chunk(1, id=name)])
        for name in AWKWARD:
            assert ids(store, ANN, name) == [name]
            assert ids(store, name, SHELF) == [name]
        assert [one.name for one in store.list_collections(ANN)] == sorted(AWKWARD)

    def test_what_was_handed_in_or_out_is_the_holders(self, store: VectorStore) -> None:
        """Changing an object that was passed in or returned has no effect on the store."""
        vector, metadata = [1.0, 2.0], {"list": [1]}
        store.upsert_chunks(ANN, SHELF, [Chunk("a", "a", vector, "d", metadata)])
        vector[0], metadata["list"][0] = 9.0, 9
        (chunk,) = store.fetch_chunks(query())
        assert (list(chunk.vector), chunk.metadata) == ([1.0, 2.0], {"list": [1]})
        chunk.metadata["list"].append(2)
        assert store.fetch_chunks(query())[0].metadata == {"list": [1]}

    def test_windows_count_in_order(self, store: VectorStore) -> None:
        """``limit`` and ``offset`` are applied last, in order, or best first in a search."""
        fill(store, 6)
        assert ids(store, limit=2) == ["c0", "c1"]
        assert ids(store, limit=2, offset=3) == ["c3", "c4"]
        assert ids(store, offset=4) == ["c4", "c5"]
        assert ids(store, limit=0) == []
        assert ids(store, offset=99) == []
        assert ids(store, document="d1", limit=1, offset=1) == ["c4"]
        assert ids(store, ids=("c5", "c1", "c3"), limit=2) == ["c1", "c3"]

    def test_many_chunks_and_many_ids(self, store: VectorStore) -> None:
        """``ids`` keeps chunks with one of the ids; an empty tuple means none."""
        fill(store, 1500)
        assert len(ids(store)) == 1500
        asked = tuple(f"c{n}" for n in range(1499, -1, -1)) + ("unknown",)
        assert ids(store, ids=asked) == [f"c{n}" for n in range(1500)]
        assert ids(store, ids=()) == []
        assert store.delete_chunks(query(ids=asked[:1499])) == 1499
        assert ids(store) == ["c0"]


class DeletingTests(StoreTests):
    """A deletion removes what the query means."""

    group = "deleting and listing"

    def test_deletion_by_document_id_metadata_and_all(self, store: VectorStore) -> None:
        """``delete_chunks`` removes the chunks that the query means and returns their number."""
        fill(store, 9)
        assert store.delete_chunks(query(document="d1")) == 3
        assert store.delete_chunks(query(ids=("c0", "unknown"))) == 1
        assert store.delete_chunks(query(where={"n": 2})) == 1
        assert store.delete_chunks(query(document="d0", where={"n": 8})) == 0
        assert ids(store) == ["c3", "c5", "c6", "c8"]
        assert found(store, [1, 0, 0, 0], limit=9) and "c0" not in found(store, [1, 0, 0, 0], limit=9)
        assert store.delete_chunks(query(limit=1)) == 1
        assert store.delete_chunks(query()) == 3
        assert store.delete_chunks(query()) == 0

    def test_a_collection_is_there_while_it_has_chunks(self, store: VectorStore) -> None:
        """A collection exists as long as it has chunks."""
        assert store.list_collections(ANN) == []
        assert store.list_documents(ANN, SHELF) == []
        fill(store, 4)
        fill(store, 2, collection="another")
        listed = [(one.name, one.chunks, one.documents, one.dimensions) for one in store.list_collections(ANN)]
        assert listed == [("another", 2, 2, 4), (SHELF, 4, 3, 4)]
        assert [(one.name, one.chunks) for one in store.list_documents(ANN, SHELF)] == [("d0", 2), ("d1", 1), ("d2", 1)]
        store.delete_chunks(query())
        assert [one.name for one in store.list_collections(ANN)] == ["another"]
        assert found(store, [1, 0]) == []

    def test_a_collection_that_was_emptied_takes_other_vectors(self, store: VectorStore) -> None:
        """A collection exists as long as it has chunks."""
        fill(store, 2)
        store.delete_chunks(query())
        store.upsert_chunks(ANN, SHELF, [make_chunk(1, size=7)])
        assert [one.dimensions for one in store.list_collections(ANN)] == [7]
        assert found(store, [1.0] * 7) == ["c1"]


class RefusalTests(StoreTests):
    """What cannot be kept is refused as a whole."""

    group = "refusals"

    @pytest.mark.parametrize(
        "chunks",
        [
            [make_chunk(1, size=5)],
            [make_chunk(7), make_chunk(1, size=3)],
            [make_chunk(7), make_chunk(7)],
            [make_chunk(7, vector=[1, 2, 3, math.nan])],
            [make_chunk(7), make_chunk(8, vector=[1, 2, 3, math.inf])],
            [make_chunk(7, vector=[])],
            [make_chunk(7), make_chunk(8, vector=["x", 1, 2, 3])],
        ],
        ids=["other length", "lengths differ", "id twice", "nan", "infinite", "empty", "no numbers"],
    )
    def test_chunks_that_do_not_fit_are_refused_and_nothing_is_stored(
        self, store: VectorStore, chunks: list[Chunk]
    ) -> None:
        """``upsert_chunks`` stores all chunks or none and returns their number. An id that occurs twice in one call is
        refused with :class:`~flowrunner.ChunkInvalid`; a call without chunks changes nothing.
        """
        before = [plain(chunk) for chunk in fill(store, 3)]
        with pytest.raises(ChunkInvalid):
            store.upsert_chunks(ANN, SHELF, chunks)
        assert [plain(chunk) for chunk in store.fetch_chunks(query())] == before

    def test_a_refused_first_chunk_makes_no_collection(self, store: VectorStore) -> None:
        """A collection exists as long as it has chunks."""
        with pytest.raises(ChunkInvalid):
            store.upsert_chunks(ANN, SHELF, [make_chunk(7, vector=[math.nan])])
        assert store.list_collections(ANN) == []
        assert store.upsert_chunks(ANN, SHELF, []) == 0
        assert store.list_collections(ANN) == []

    @pytest.mark.parametrize("vector", [[1.0, 0.0], [1.0] * 5, [], [math.nan] * 4], ids=str)
    def test_a_vector_that_does_not_fit_finds_nothing_but_an_error(
        self, store: VectorStore, vector: list[float]
    ) -> None:
        """Searching with a vector of another length is refused as well; an empty collection finds nothing for any
        vector.
        """
        assert store.search_chunks(query(), vector) == []
        fill(store, 3)
        with pytest.raises(ChunkInvalid):
            store.search_chunks(query(), vector)

    def test_a_query_names_owner_and_collection(self) -> None:
        """Every call names one owner and one collection."""
        for owner, collection in (("", SHELF), (ANN, "")):
            with pytest.raises(ChunkInvalid):
                query(owner, collection)


class OwnerTests(StoreTests):
    """No call reaches a chunk of somebody else or of another collection."""

    group = "owners"

    def test_owners_and_collections_are_apart(self, store: VectorStore) -> None:
        """The same collection name of two owners is two collections; no call reaches a chunk of another owner or
        collection.
        """
        fill(store, 4)
        fill(store, 2, owner=BOB)
        fill(store, 3, collection="other")
        assert (len(ids(store)), len(ids(store, BOB)), len(ids(store, ANN, "other"))) == (4, 2, 3)
        assert store.delete_chunks(query(BOB, ids=("c3",))) == 0
        store.upsert_chunks(BOB, SHELF, [make_chunk(0, text="bob's")])
        assert store.fetch_chunks(query(ids=("c0",)))[0].text == "text 0"
        assert len(found(store, [1, 1, 1, 1], limit=99)) == 4
        assert len(found(store, [1, 1, 1, 1], owner=BOB, limit=99)) == 2
        assert [one.name for one in store.list_collections(BOB)] == [SHELF]
        assert store.delete_chunks(query(BOB)) == 2
        assert len(ids(store)) == 4
        assert len(ids(store, collection="other")) == 3

    def test_collections_of_one_name_may_have_other_dimensions(self, store: VectorStore) -> None:
        """The same collection name of two owners is two collections; no call reaches a chunk of another owner or
        collection.
        """
        fill(store, 2)
        store.upsert_chunks(BOB, SHELF, [make_chunk(0, size=9)])
        assert found(store, [1.0] * 9, owner=BOB) == ["c0"]
        assert len(found(store, [1.0] * 4)) == 2


class FailureTests(StoreTests):
    """A write that fails says so and leaves nothing half-done. For classes that say how to ``break_writes``."""

    group = "failing writes"

    @pytest.fixture
    def broken(self, store: VectorStore) -> AbstractContextManager[None]:
        """Return the context within which writes fail, after three chunks were stored."""
        fill(store, 3)
        context = self.break_writes(store)
        if context is None:
            pytest.skip("the test class does not define how to break writes")
        return context

    def test_failed_writes_change_nothing(self, store: VectorStore, broken: AbstractContextManager[None]) -> None:
        """An operation that cannot be done raises :class:`~flowrunner.VectorStoreFailed` (with ``__cause__``) and
        leaves nothing half-done.
        """
        with broken:
            with pytest.raises(VectorStoreFailed) as failure:
                store.upsert_chunks(ANN, SHELF, [make_chunk(0, text="lost"), make_chunk(9)])
            assert failure.value.__cause__ is not None
            with pytest.raises(VectorStoreFailed):
                store.delete_chunks(query())
            assert ids(store) == ["c0", "c1", "c2"]
        assert store.fetch_chunks(query(ids=("c0",)))[0].text == "text 0"
        assert len(found(store, [1, 1, 1, 1], limit=9)) == 3
        store.upsert_chunks(ANN, SHELF, [make_chunk(9)])
        assert ids(store) == ["c0", "c1", "c2", "c9"]
