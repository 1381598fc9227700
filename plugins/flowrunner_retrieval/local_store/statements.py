"""Hand-written SQL for statements that run very often."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

#: Makes a collection, or gives it its next version; returns its id and its dimensions.
UPSERT_COLLECTION: Final = (
    "INSERT INTO flowrunner_collections (owner, name, dimensions, version, rewritten) VALUES (?, ?, ?, 1, 0)"
    " ON CONFLICT (owner, name) DO UPDATE SET version = flowrunner_collections.version + 1"
    " RETURNING id, dimensions"
)

UPSERT_CHUNK: Final = (
    "INSERT INTO flowrunner_chunks (collection_id, id, document, text, metadata, vector) VALUES (?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (collection_id, id) DO UPDATE SET document = excluded.document, text = excluded.text,"
    " metadata = excluded.metadata, vector = excluded.vector"
)

#: How many values an ``IN`` has at most; databases have limits.
_MOST: Final = 500


def placeholders(statement: str, sqlite: bool) -> str:
    """Return a statement with the placeholders of the driver."""
    return statement if sqlite else statement.replace("?", "%s")


def in_pieces(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Yield values in pieces that fit into one ``IN``."""
    for start in range(0, len(values), _MOST):
        yield values[start : start + _MOST]
