"""Cache the vectors of collections in memory, invalidated by version."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from ..extras import import_numpy
from .packing import normalised


@dataclass(slots=True)
class Matrix:
    """The vectors of a collection at one version, of length 1 each, in order; ``seqs`` says which rows they are."""

    version: int
    seqs: Any
    vectors: Any

    @property
    def size(self) -> int:
        """Bytes in memory."""
        return int(self.vectors.nbytes + self.seqs.nbytes)


def make_matrix(version: int, rows: list[Any], dimensions: int) -> Matrix:
    """Return the matrix of rows of ``seq`` and ``vector``, whatever their order."""
    np = import_numpy()
    seqs = np.fromiter((row[0] for row in rows), dtype=np.int64, count=len(rows))
    vectors = np.empty((len(rows), dimensions), dtype=np.float32)
    for start in range(0, len(rows), _STEP):
        part = b"".join([row[1] for row in rows[start : start + _STEP]])
        vectors[start : start + _STEP] = normalised(np.frombuffer(part, dtype="<f4").reshape(-1, dimensions))
    if len(rows) > 1 and not (np.diff(seqs) > 0).all():
        order = np.argsort(seqs)
        seqs, vectors = seqs[order], vectors[order]
    return Matrix(version, seqs, vectors)


def joined(matrix: Matrix, more: Matrix) -> Matrix:
    """Return a matrix with those rows of a later one that it lacks."""
    np = import_numpy()
    return Matrix(
        more.version, np.concatenate([matrix.seqs, more.seqs]), np.concatenate([matrix.vectors, more.vectors])
    )


def best(scores: Any, count: int) -> Any:
    """Return the places of the highest scores, best first, the earlier first where they are equal."""
    np = import_numpy()
    if count < len(scores):
        # All that reach the last score that counts, so that of equal ones the earliest are taken.
        least = np.partition(scores, len(scores) - count)[len(scores) - count]
        places = np.flatnonzero(scores >= least)
    else:
        places = np.arange(len(scores))
    # Stable: the places ascend, so that the earlier of equal ones stays before the later.
    return places[(-scores[places]).argsort(kind="stable")][:count]


class Matrices:
    """Matrices by collection; those used least lately go when there is no more room.

    :param room: bytes that all of them may have; a single one is kept even if it has more.
    """

    def __init__(self, room: int) -> None:
        self._room = room
        self._lock = threading.Lock()
        self._kept: OrderedDict[int, Matrix] = OrderedDict()

    def get(self, collection: int) -> Matrix | None:
        """Return the matrix of a collection, of whatever version, if there is one."""
        with self._lock:
            found = self._kept.get(collection)
            if found is not None:
                self._kept.move_to_end(collection)
            return found

    def keep(self, collection: int, matrix: Matrix) -> None:
        """Keep a matrix, unless there is a later one."""
        with self._lock:
            found = self._kept.get(collection)
            if found is None or found.version <= matrix.version:
                self._kept[collection] = matrix
                self._kept.move_to_end(collection)
            size = sum(one.size for one in self._kept.values())
            while size > self._room and len(self._kept) > 1:
                _, gone = self._kept.popitem(last=False)
                size -= gone.size

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._kept.clear()


_STEP = 8192
