"""How the kit opens the backend that it tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import ClassVar

import pytest

from flowrunner.memory import MemoryBackend


class BackendTests:
    """What all groups of tests have in common. Authors override what stands here."""

    #: The name of the group in the report.
    group: ClassVar[str] = ""
    #: How often the group on crashes kills a process that writes.
    kills: ClassVar[int] = 6

    def open_backend(self, folder: Path) -> MemoryBackend:
        """Open the backend on an empty folder, or on what an earlier one left there.

        Processes that the kit starts call it too, on an instance that pytest does not know: it may
        use the folder and environment variables, but no fixtures.
        """
        raise NotImplementedError("A class of tests says in open_backend(folder) how to open its backend.")

    def open_again(self, folder: Path) -> MemoryBackend:
        """Open it once more, on the place of one that is open or was closed or killed."""
        return self.open_backend(folder)

    def break_writes(self, backend: MemoryBackend) -> AbstractContextManager[None] | None:
        """Return a context within which the backend's writes fail, as on a full disk; None: there is no way."""
        return None

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        """Return the place that belongs to one test."""
        return tmp_path

    @pytest.fixture
    def backend(self, folder: Path) -> Iterator[MemoryBackend]:
        """Open the backend for one test."""
        backend = self.open_backend(folder)
        yield backend
        backend.close()
