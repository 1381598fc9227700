"""The store ``local`` with an engine of its own, which goes when the store does, and a way to break its writes."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path

from flowrunner_retrieval.local_store.store import LocalVectors
from sqlalchemy import URL, Engine, event

from flowrunner.store.engine import make_engine
from tests.memory.closing import READ_ONLY


class ClosingVectors(LocalVectors):
    def close(self) -> bool:
        closed = super().close()
        self._engine.dispose()
        return closed


def open_file(folder: Path) -> ClosingVectors:
    return ClosingVectors(make_engine(URL.create("sqlite", database=str(folder / "vectors.db"))))


@contextmanager
def broken_writes(engine: Engine):
    """Let the database refuse to write, on every connection that is taken meanwhile."""
    broken, mended = READ_ONLY[engine.dialect.name]

    def say(word):
        def listener(connection, *rest):
            connection.cursor().execute(word)
            connection.commit()

        return listener

    take, give_back = say(broken), say(mended)
    event.listen(engine, "checkout", take)
    event.listen(engine, "checkin", give_back)
    try:
        yield
    finally:
        event.remove(engine, "checkout", take)
        event.remove(engine, "checkin", give_back)
