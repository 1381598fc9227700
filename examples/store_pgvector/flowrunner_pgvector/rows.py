"""Chunks and queries in the form that goes to the database."""

import json
import math
from array import array
from hashlib import sha256

from flowrunner import ChunkInvalid

COLUMNS = "id, text, document, metadata, coalesce(given, direction)::real[]"

#: A length that differs from 1 by less counts as 1: models give vectors of that length, but for rounding.
_SLACK = 1e-6


def rows_of(chunks):
    """Return the rows of chunks, without their collection, and how many dimensions all have.

    :raises ChunkInvalid: for chunks that do not fit together or cannot be kept.
    """
    vectors = [_vector(chunk.vector) for chunk in chunks]
    dimensions = len(vectors[0])
    if not dimensions:
        raise ChunkInvalid("A vector has no dimensions.")
    if len({chunk.id for chunk in chunks}) < len(chunks):
        raise ChunkInvalid("A chunk id occurs twice.")
    rows = []
    for chunk, vector in zip(chunks, vectors, strict=True):
        if len(vector) != dimensions:
            raise ChunkInvalid(
                f"The vector of chunk {chunk.id[:100]} has {len(vector)} dimensions, others have {dimensions}."
            )
        length = _length(vector)
        given, direction = (None, vector) if abs(length - 1) < _SLACK else (_text(vector), _scaled(vector, length))
        metadata, members = _metadata(chunk.metadata)
        rows.append((chunk.id, chunk.document, chunk.text, metadata, members, dimensions, given, _text(direction)))
    return rows, dimensions


def direction_of(vector, dimensions):
    """Return the direction of a vector to search with.

    :raises ChunkInvalid: if it has other dimensions than the collection.
    """
    found = _vector(vector)
    length = _length(found)
    if len(found) != dimensions:
        raise ChunkInvalid(
            f"The query vector has {len(found)} dimensions and the collection {dimensions}:"
            " it was filled with another embedding model; ingest its documents again, or search with that model."
        )
    return _text(_scaled(found, length))


def where_of(query, place=None):
    """Return which rows a query means, as a condition and its values; ``place`` is its collection, where known."""
    if place is None:
        where, values = ["collection = (SELECT id FROM collections WHERE owner = %s AND name = %s)"], []
        values += [query.owner, query.collection]
    else:
        where, values = ["collection = %s"], [place]
    if query.ids is not None:
        where.append("id = ANY(%s)")
        values.append(list(query.ids))
    if query.document is not None:
        where.append("document = %s")
        values.append(query.document)
    if query.where:
        where.append("members @> %s::text[]")
        values.append(_metadata(query.where)[1])
    return " AND ".join(where), values


def _vector(vector):
    try:
        return array("f", vector)
    except (TypeError, OverflowError) as error:
        raise ChunkInvalid("A vector contains something that is not a number.") from error


def _length(vector):
    length = math.hypot(*vector)
    if not math.isfinite(length):
        raise ChunkInvalid("A vector contains a number that is not finite.")
    return length


def _scaled(vector, length):
    return array("f", [number / length for number in vector]) if length else vector


def _text(vector):
    return f"[{','.join(map(repr, vector))}]"


def _metadata(metadata):
    """Return metadata as JSON, and a mark of each of its members that is the same where the value is."""
    try:
        marks = [sha256(json.dumps([name, _same(value)], sort_keys=True).encode()) for name, value in metadata.items()]
        return json.dumps(dict(metadata), allow_nan=False), [mark.hexdigest()[:32] for mark in marks]
    except (TypeError, ValueError) as error:
        raise ChunkInvalid("The metadata of a chunk is not JSON.") from error


def _same(value):
    """Return a JSON value in the form that all equal ones have: ``1.0`` is ``1``, and ``true`` is not."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {name: _same(one) for name, one in value.items()}
    return [_same(one) for one in value] if isinstance(value, (list, tuple)) else value
