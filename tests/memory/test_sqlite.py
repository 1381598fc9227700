"""The whole contract on the backend ``sqlite``, and what only it promises."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import URL

from flowrunner.store.engine import make_engine
from flowrunner.testing import MemoryBackendContract
from tests.memory.closing import ClosingMemory


class TestSqlite(MemoryBackendContract):
    def open_backend(self, folder: Path) -> ClosingMemory:
        return ClosingMemory(make_engine(URL.create("sqlite", database=str(folder / "messages.db"))))
