"""Search a collection: by similarity, by a score threshold, or for diverse results."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from typing import Any, Final

from flowrunner import CancelToken, Hit, OwnerVectors

from ..embeddings.embedder import Embedder
from ..extras import import_extra

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

    :param how: as flows say it: one with ``mmr`` wants results that differ, one with ``threshold`` a score.
    :param least: the least score, where ``how`` wants one.
    :param where: members of the metadata and their values.
    """
    (asked,) = embedder.embed([text], cancelled=cancelled)
    word = how.lower()
    if "mmr" in word or "marginal" in word:
        pool = vectors.search(collection, asked, max(_POOL, 4 * count), where=where or {})
        return spread(pool, asked, count)
    found = vectors.search(collection, asked, count, where=where or {})
    return [hit for hit in found if hit.score >= least] if "threshold" in word and least else found


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

    :raises ValueError: for one that asks more than equality.
    """
    found: dict[str, Any] = {}
    items = given if isinstance(given, list) else [given]
    for one in items:
        for name, value in one.items() if isinstance(one, Mapping) else ():
            if not name or value in ("", None):
                continue
            if isinstance(value, Mapping) and set(value) == {"$eq"}:
                value = value["$eq"]
            if name.startswith("$") or (isinstance(value, Mapping) and any(str(key).startswith("$") for key in value)):
                raise ValueError(f"the filter {name} is not understood: a filter names members and their values")
            found[name.removeprefix("metadata.")] = value
    return found
