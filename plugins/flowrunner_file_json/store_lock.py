"""Lock a store, across threads and processes."""

from __future__ import annotations

import fcntl
import os
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class StoreLock:
    """A lock on a file that holds nothing and is never replaced; it goes with its holder's process."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._threads = threading.Lock()
        self._file: Any = None
        _renew_after_fork(self)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Wait for the lock and keep it while the block runs."""
        with self._threads:
            if self._file is None:
                self._file = self._path.open("ab")
            fcntl.flock(self._file, fcntl.LOCK_EX)
            try:
                yield
            finally:
                if self._file is not None:
                    fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the file; who wants the lock again opens it again."""
        with self._threads:
            self.renew_file()

    def renew(self) -> None:
        """Begin afresh in a forked process, which must not share the parent's hold on the file."""
        self._threads = threading.Lock()
        self.renew_file()

    def renew_file(self) -> None:
        """Close the file without letting go of what another process holds."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _renew_after_fork(lock: StoreLock) -> None:
    reference = weakref.ref(lock)

    def renew() -> None:
        found = reference()
        if found is not None:
            found.renew()

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=renew)
