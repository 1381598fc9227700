"""The fast path of search, without the overhead of SQLAlchemy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Engine

from .statements import placeholders

_FIND: Final = "SELECT id, dimensions, version FROM flowrunner_collections WHERE owner = ? AND name = ?"
_ROWS: Final = "SELECT seq, id, text, document, metadata, vector FROM flowrunner_chunks WHERE seq IN ({})"
#: More rows than this are read in pieces, which is no matter for this module.
MOST_ROWS: Final = 100


class _Reading:
    """A transaction that reads; ``contextlib`` would take longer than the question."""

    __slots__ = ("_connection", "_engine", "_sqlite")

    def __init__(self, engine: Engine, sqlite: bool) -> None:
        self._engine = engine
        self._sqlite = sqlite

    def __enter__(self) -> Any:
        self._connection = self._engine.raw_connection()
        try:
            cursor = self._connection.cursor()
            if self._sqlite:
                # The driver begins none by itself; PostgreSQL's does.
                cursor.execute("BEGIN")
        except BaseException:
            self._connection.close()
            raise
        return cursor

    def __exit__(self, *error: object) -> None:
        # The pool ends the transaction.
        self._connection.close()


class QuickReader:
    """Reads one consistent state over the pool's own connections."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._sqlite = engine.dialect.name == "sqlite"
        self._find = placeholders(_FIND, self._sqlite)

    def open(self) -> _Reading:
        """Open a transaction that reads; what is entered is the driver's cursor."""
        return _Reading(self._engine, self._sqlite)

    def find(self, cursor: Any, owner: str, collection: str) -> tuple[int, int, int] | None:
        """Return id, dimensions and version of a collection."""
        cursor.execute(self._find, (owner, collection))
        found: tuple[int, int, int] | None = cursor.fetchone()
        return found

    def rows(self, cursor: Any, seqs: Sequence[int]) -> dict[int, Any]:
        """Return rows by their places: seq, id, text, document, metadata, vector."""
        if not seqs:
            return {}
        mark = "?" if self._sqlite else "%s"
        cursor.execute(_ROWS.format(",".join([mark] * len(seqs))), tuple(seqs))
        return {row[0]: row for row in cursor.fetchall()}
