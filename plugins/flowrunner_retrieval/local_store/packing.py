"""Validate vectors, and pack them into bytes."""

from __future__ import annotations

import math
import sys
from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from flowrunner import ChunkInvalid

from ..extras import import_numpy

if TYPE_CHECKING:
    from flowrunner import Chunk

_BYTES = 4


def pack(chunks: Sequence[Chunk]) -> tuple[list[bytes], int]:
    """Return the vectors of chunks as bytes, and their dimensions.

    :raises ChunkInvalid: if they differ in length, have none, or hold what is not finite number.
    """
    try:
        rows = [_bytes(chunk.vector) for chunk in chunks]
    except (TypeError, OverflowError, ValueError) as error:
        raise ChunkInvalid("A vector contains something that is not a number.") from error
    size = len(rows[0])
    for chunk, row in zip(chunks, rows, strict=True):
        if len(row) != size:
            found, wanted = len(row) // _BYTES, size // _BYTES
            raise ChunkInvalid(
                f"The vector of chunk {chunk.id[:100]} has {found} dimensions; the others have {wanted}."
            )
    if not size:
        raise ChunkInvalid("A vector has no dimensions.")
    if not _all_finite(rows):
        raise ChunkInvalid("A vector contains a number that is not finite.")
    return rows, size // _BYTES


def unpack(row: bytes) -> array[float]:
    """Return the vector of a row."""
    found = array("f")
    found.frombytes(row)
    if sys.byteorder != "little":
        found.byteswap()
    return found


def query_vector(vector: Sequence[float], dimensions: int) -> Any:
    """Return a vector to search with, of length 1 (or 0).

    :raises ChunkInvalid: if it has other dimensions than the collection, or holds what is not finite number.
    """
    np = import_numpy()
    try:
        # As in normalised(): single precision overflows where large numbers are squared.
        wide = np.asarray(vector, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ChunkInvalid("The query vector contains something that is not a number.") from error
    if wide.shape != (dimensions,):
        raise ChunkInvalid(
            f"The query vector has {wide.size} dimensions but the collection {dimensions}: it was"
            " filled with another embedding model; ingest its documents again, or search with that model."
        )
    # What is not finite makes a sum that is not.
    squares = float(wide @ wide)
    if not math.isfinite(squares):
        raise ChunkInvalid("The query vector contains a number that is not finite.")
    return (wide / (math.sqrt(squares) or 1.0)).astype(np.float32)


def normalised(matrix: Any) -> Any:
    """Return rows of length 1; those without length stay as they are."""
    np = import_numpy()
    # Single precision overflows when very large numbers are squared.
    lengths = np.sqrt(np.einsum("ij,ij->i", matrix, matrix, dtype=np.float64))
    lengths[lengths == 0] = 1
    return (matrix / lengths[:, None]).astype(np.float32)


def _bytes(vector: Sequence[float]) -> bytes:
    found = vector if isinstance(vector, array) and vector.typecode == "f" else array("f", vector)
    if sys.byteorder != "little":
        found = array("f", found)
        found.byteswap()
    return found.tobytes()


def _all_finite(rows: list[bytes]) -> bool:
    np = import_numpy()
    step = 4096
    return all(
        bool(np.isfinite(np.frombuffer(b"".join(rows[n : n + step]), dtype="<f4")).all())
        for n in range(0, len(rows), step)
    )
