"""Search a collection: by similarity, by a score threshold, or for diverse results."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from typing import Any, Final

from flowrunner import CancelToken, Hit, OwnerVectors

from ..documents.readers import parse_json
from ..embeddings.embedder import Embedder
from ..extras import import_extra
from .ingesting import MODEL_KEY, whole_text

#: How many of the nearest are looked at where the result shall differ, and how much nearness counts.
_POOL: Final = 20
_NEARNESS: Final = 0.5


def search(
    vectors: OwnerVectors,
    collection: str,
    embedder: Embedder,
    text: str,
    *,
    count: int,
    how: str = "",
    least: float = 0.0,
    where: Mapping[str, Any] | None = None,
    cancelled: CancelToken | None = None,
) -> list[Hit]:
    """Return what a collection has on a text, best first.

    :raises ValueError: if what is found was embedded by another model: vectors of two models do not compare.

    :param how: as flows say it: one with ``mmr`` wants results that differ, one with ``threshold`` a score.
    :param least: the least score, where ``how`` wants one.
    :param where: members of the metadata and their values.
    """
    (asked,) = embedder.embed([whole_text(text)], cancelled=cancelled)
    word = how.lower()
    if "mmr" in word or "marginal" in word:
        pool = vectors.search(collection, asked, max(_POOL, 4 * count), where=where or {})
        _refuse_others(collection, embedder, pool)
        return spread(pool, asked, count)
    found = vectors.search(collection, asked, count, where=where or {})
    _refuse_others(collection, embedder, found)
    return [hit for hit in found if hit.score >= least] if "threshold" in word and least else found


def _refuse_others(collection: str, embedder: Embedder, hits: Sequence[Hit]) -> None:
    other = next((m for h in hits if (m := h.chunk.metadata.get(MODEL_KEY, embedder.name)) != embedder.name), None)
    if other is not None:
        raise ValueError(
            f"the collection {collection[:100]} contains chunks of the embedding model {other} but is searched"
            f" with {embedder.name}, whose vectors are not comparable: search with the first, or"
            f" ingest its documents again"
        )


def spread(hits: Sequence[Hit], asked: Sequence[float], count: int) -> list[Hit]:
    """Return hits that are near and differ from each other: maximal marginal relevance."""
    if len(hits) <= 1:
        return list(hits[:count])
    np = import_extra("numpy", "Searching by MMR")
    matrix = np.array([array("f", hit.chunk.vector) for hit in hits], dtype=np.float32)
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True) + 1e-12
    near = np.array([hit.score for hit in hits], dtype=np.float32)
    picked: list[int] = []
    alike = np.full(len(hits), -np.inf, dtype=np.float32)
    while len(picked) < min(count, len(hits)):
        worth = near if not picked else _NEARNESS * near - (1 - _NEARNESS) * alike
        worth = np.where(np.isin(np.arange(len(hits)), picked), -np.inf, worth)
        best = int(worth.argmax())
        picked.append(best)
        alike = np.maximum(alike, matrix @ matrix[best])
    return [hits[place] for place in picked]


def read_filter(given: Any) -> dict[str, Any]:
    """Return a filter of a flow as members of the metadata and their values.

    :raises ValueError: for one that asks more than equality, or is none at all: what it was meant to hold back would
        be found.
    """
    found: dict[str, Any] = {}
    if isinstance(given, str) and given.strip():
        read = parse_json(given)
        given = given if read is None else read
    for one in given if isinstance(given, list) else [given]:
        if one in (None, ""):
            continue
        if not isinstance(one, Mapping):
            raise ValueError(f"invalid filter {one!r:.80}: must be an object of members and values")
        for name, value in one.items():
            if not name or value in ("", None):
                continue
            if isinstance(value, Mapping) and set(value) == {"$eq"}:
                value = value["$eq"]
            if name.startswith("$") or (isinstance(value, Mapping) and any(str(key).startswith("$") for key in value)):
                raise ValueError(f"invalid filter {name}: a filter has members and values")
            found[name.removeprefix("metadata.")] = value
    return found
