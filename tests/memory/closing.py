"""The backend ``sqlite`` with an engine of its own, which goes when the backend does."""

from __future__ import annotations

from flowrunner_sqlite.backend import SqliteMemory


class ClosingMemory(SqliteMemory):
    def close(self) -> bool:
        closed = super().close()
        self._engine.dispose()
        return closed
