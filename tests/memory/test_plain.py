"""The whole contract on a backend that does nothing by itself: it proves what queries and changes offer to authors."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path

from flowrunner.testing import MemoryBackendContract
from flowrunner.testing.memory.locks import LockTests
from flowrunner.testing.memory.processes import SharedTests
from tests.memory.leased import LeasedFile
from tests.memory.plain import PlainMemory, SharedFile


class TestPlain(MemoryBackendContract):
    def open_backend(self, folder: Path) -> PlainMemory:
        return PlainMemory()

    @contextmanager
    def break_writes(self, backend: PlainMemory):
        backend.full = True
        yield
        backend.full = False


class TestLeasedFile(LockTests):
    """What the planted mistakes with locks start from makes none itself."""

    #: Long enough that a slow machine renews in time.
    lock_lease = 2.0

    def open_backend(self, folder: Path) -> LeasedFile:
        backend = LeasedFile(folder / "messages.json")
        backend.lease = self.lock_lease
        return backend


class TestSharedFile(SharedTests):
    """What the planted mistakes of processes start from makes none itself."""

    def open_backend(self, folder: Path) -> SharedFile:
        return SharedFile(folder / "messages.json")
