"""Search by vector: nearest chunks, scores, ties, filters."""

from __future__ import annotations

import math
import random
from array import array
from collections.abc import Sequence

import pytest

from flowrunner.testing.vectors.opening import ANN, SHELF, StoreTests, fill, found, make_chunk, query
from flowrunner.vectors import Chunk, VectorStore


def cosine(one: Sequence[float], other: Sequence[float]) -> float:
    """Return the cosine of the angle between two vectors; 0 where one has no length."""
    lengths = math.hypot(*one) * math.hypot(*other)
    return sum(a * b for a, b in zip(one, other, strict=True)) / lengths if lengths else 0.0


class SearchTests(StoreTests):
    """A search finds the nearest, best first, with their scores."""

    group = "search"

    def test_the_nearest_come_first_with_the_cosine_as_score(self, store: VectorStore) -> None:
        """The score is the cosine of the angle between the vectors, or 0 if one of them has no length."""
        vectors = {"same": [2, 0], "near": [3, 1], "across": [0, 4], "against": [-1, 0], "none": [0, 0]}
        store.upsert_chunks(ANN, SHELF, [Chunk(name, name, vector) for name, vector in vectors.items()])
        hits = store.search_chunks(query(limit=9), [5, 0])
        assert [hit.chunk.id for hit in hits] == ["same", "near", "across", "none", "against"]
        assert [hit.score for hit in hits] == pytest.approx([1, 3 / math.sqrt(10), 0, 0, -1], abs=1e-6)
        assert hits[1].chunk.text == "near"
        assert list(hits[1].chunk.vector) == [3.0, 1.0]

    def test_equal_scores_stand_in_order(self, store: VectorStore) -> None:
        """``search_chunks`` returns those of them that are nearest to a vector, best first; chunks with equal scores
        are in order.
        """
        store.upsert_chunks(ANN, SHELF, [make_chunk(0, id=name) for name in "zyxwvu"])
        assert found(store, [1, 0, 0, 0], limit=4) == ["z", "y", "x", "w"]
        assert found(store, [1, 0, 0, 0], limit=2, offset=3) == ["w", "v"]
        assert found(store, [0, 0, 0, 0], limit=2) == ["z", "y"]

    def test_limits(self, store: VectorStore) -> None:
        """``limit`` and ``offset`` are applied last, in order, or best first in a search."""
        fill(store, 5)
        assert found(store, [1, 0, 0, 0], limit=0) == []
        assert len(found(store, [1, 0, 0, 0], limit=99)) == 5
        assert len(found(store, [1, 0, 0, 0])) == 5

    def test_filters_keep_exactly_their_values(self, store: VectorStore) -> None:
        """``where`` keeps chunks whose metadata has all its members with equal values; values are equal if they are the
        same JSON (``1`` is not ``true``).
        """
        kinds: list[object] = [1, True, "1", 1.5, None, [1], {"a": 1}, False, 0, ""]
        chunks = [make_chunk(n, metadata={"kind": kind, "n": n}, document=f"d{n % 2}") for n, kind in enumerate(kinds)]
        store.upsert_chunks(ANN, SHELF, chunks)
        for n, kind in enumerate(kinds):
            assert found(store, [1, 1, 1, 1], where={"kind": kind}, limit=9) == [f"c{n}"], kind
        assert found(store, [1, 1, 1, 1], where={"kind": 1, "n": 1}, limit=9) == []
        assert found(store, [1, 1, 1, 1], where={"absent": None}, limit=9) == []
        assert set(found(store, [1, 1, 1, 1], document="d0", limit=9)) == {"c0", "c2", "c4", "c6", "c8"}
        assert found(store, [1, 1, 1, 1], document="d0", where={"n": 4}, limit=9) == ["c4"]
        assert set(found(store, [1, 1, 1, 1], ids=("c3", "c5", "no"), limit=9)) == {"c3", "c5"}

    def test_a_filter_does_not_cost_hits(self, store: VectorStore) -> None:
        """``limit`` and ``offset`` are applied last, in order, or best first in a search."""
        chunks = [make_chunk(0, id=f"near {n}", metadata={"kind": "near"}) for n in range(50)]
        chunks += [make_chunk(2, id=f"far {n}", metadata={"kind": "far"}) for n in range(3)]
        store.upsert_chunks(ANN, SHELF, chunks)
        assert found(store, [1, 0, 0, 0], where={"kind": "far"}, limit=4) == ["far 0", "far 1", "far 2"]

    def test_random_vectors_are_found_as_a_plain_comparison_finds_them(self, store: VectorStore) -> None:
        """The search is exact unless the class sets ``exact = False``."""
        chance = random.Random(7)
        vectors = [array("f", [chance.gauss(0, 1) for _ in range(16)]) for _ in range(300)]
        store.upsert_chunks(ANN, SHELF, [Chunk(f"{n}", f"{n}", vector) for n, vector in enumerate(vectors)])
        for _ in range(5):
            asked = [chance.gauss(0, 1) for _ in range(16)]
            wanted = sorted(range(300), key=lambda n: -cosine(vectors[n], asked))[:10]  # noqa: B023
            hits = store.search_chunks(query(limit=10), asked)
            if store.exact:
                assert [hit.chunk.id for hit in hits] == [str(n) for n in wanted]
            else:
                assert len({hit.chunk.id for hit in hits} & {str(n) for n in wanted}) >= 8
            assert [hit.score for hit in hits] == pytest.approx(
                [cosine(vectors[int(hit.chunk.id)], asked) for hit in hits], abs=1e-5
            )

    def test_very_large_and_very_small_vectors_have_their_direction(self, store: VectorStore) -> None:
        """The score is the cosine of the angle between the vectors, or 0 if one of them has no length."""
        store.upsert_chunks(ANN, SHELF, [Chunk("large", "", [1e30, 1e30]), Chunk("small", "", [1e-30, 0])])
        hits = {hit.chunk.id: hit.score for hit in store.search_chunks(query(), [1, 0])}
        assert hits == pytest.approx({"large": math.sqrt(0.5), "small": 1.0}, abs=1e-5)

    def test_a_search_sees_what_was_just_written(self, store: VectorStore) -> None:
        """When a write returns, it is visible to all readers"""
        for n in range(5):
            store.upsert_chunks(ANN, SHELF, [make_chunk(n)])
            assert found(store, list(make_chunk(n).vector), limit=1) == [f"c{n}"]
        store.upsert_chunks(ANN, SHELF, [make_chunk(1, vector=[0, 0, 0, 9])])
        assert found(store, [0, 0, 0, 1], limit=1) == ["c1"]
        store.delete_chunks(query(ids=("c1",)))
        assert "c1" not in found(store, [0, 0, 0, 1], limit=9)
