"""The whole contract on a backend that does nothing by itself: it proves what queries and changes offer to authors."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path

from flowrunner.testing import MemoryBackendContract
from tests.memory.plain import PlainMemory


class TestPlain(MemoryBackendContract):
    def open_backend(self, folder: Path) -> PlainMemory:
        return PlainMemory()

    @contextmanager
    def break_writes(self, backend: PlainMemory):
        backend.full = True
        yield
        backend.full = False
