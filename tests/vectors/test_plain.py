"""The kit on a store of forty lines: a correct store passes, and a broken one fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowrunner import ChunkQuery
from flowrunner.testing import VectorStoreContract
from flowrunner.testing.memory.promises import sentence_of
from tests.vectors.plain import PlainVectors


class TestPlain(VectorStoreContract):
    def open_store(self, folder: Path) -> PlainVectors:
        return PlainVectors()


class _Leaks(PlainVectors):
    """Owners see each other."""

    def fetch_chunks(self, query):
        return [chunk for owner in ("ann", "bob") for chunk in super(_Leaks, self).fetch_chunks(_as(query, owner))]


class _Forgets(PlainVectors):
    """Metadata filters are ignored."""

    def search_chunks(self, query, vector):
        return super().search_chunks(ChunkQuery(query.owner, query.collection, limit=query.limit), vector)


class _Worst(PlainVectors):
    """The worst come first."""

    def search_chunks(self, query, vector):
        return super().search_chunks(query, vector)[::-1]


def _as(query, owner):
    return ChunkQuery(owner, query.collection, ids=query.ids, document=query.document, where=query.where)


@pytest.mark.parametrize(
    ("broken", "test"),
    [
        (_Leaks, "test_owners_and_collections_are_apart"),
        (_Forgets, "test_filters_keep_exactly_their_values"),
        (_Worst, "test_the_nearest_come_first_with_the_cosine_as_score"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_the_kit_finds_what_is_broken_and_quotes_the_contract(broken, test):
    with pytest.raises(AssertionError) as failure:
        getattr(VectorStoreContract(), test)(broken())
    sentence = sentence_of(getattr(VectorStoreContract, test))
    said = [*getattr(failure.value, "__notes__", ()), *map(str, failure.value.args)]
    assert f'The contract of flowrunner.VectorStore says: "{sentence}"' in "\n".join(said)
