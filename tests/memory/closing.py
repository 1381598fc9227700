"""The backend ``sqlite`` with an engine of its own, which goes when the backend does, and a way to break its writes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from flowrunner_sqlite.backend import SqliteMemory
from sqlalchemy import Engine, event

READ_ONLY = {
    "sqlite": ("PRAGMA query_only = 1", "PRAGMA query_only = 0"),
    "postgresql": (
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
    ),
}


class ClosingMemory(SqliteMemory):
    def close(self) -> bool:
        closed = super().close()
        self._engine.dispose()
        return closed


@contextmanager
def broken_writes(backend: SqliteMemory, engine: Engine) -> Iterator[None]:
    """Let the database refuse to write, on every connection that the backend takes meanwhile."""
    broken, mended = READ_ONLY[engine.dialect.name]

    def take(connection, record, proxy):
        cursor = connection.cursor()
        cursor.execute(broken)
        connection.commit()

    def give_back(connection, record):
        cursor = connection.cursor()
        cursor.execute(mended)
        connection.commit()

    # Closed, a backend gives back the connection that it keeps for writing, and takes one when it wants it.
    SqliteMemory.close(backend)
    event.listen(engine, "checkout", take)
    event.listen(engine, "checkin", give_back)
    try:
        yield
    finally:
        SqliteMemory.close(backend)
        event.remove(engine, "checkout", take)
        event.remove(engine, "checkin", give_back)
