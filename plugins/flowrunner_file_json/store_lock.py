"""Lock a store, across threads and processes."""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flowrunner import after_fork


class StoreLock:
    """A lock on a file that holds nothing; it goes with its holder's process."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._threads = threading.Lock()
        self._file: Any = None
        after_fork(self.renew)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Wait for the lock and keep it while the block runs."""
        with self._threads:
            while True:
                if self._file is None:
                    self._file = self._path.open("ab")
                fcntl.flock(self._file, fcntl.LOCK_EX)
                if self._is_the_one():
                    break
                self.renew_file()
            try:
                yield
            finally:
                if self._file is not None:
                    fcntl.flock(self._file, fcntl.LOCK_UN)

    def _is_the_one(self) -> bool:
        """Return whether the file still has its name: others lock what they find by the name."""
        here = os.fstat(self._file.fileno())
        try:
            there = self._path.stat()
        except FileNotFoundError:
            return False
        return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)

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
