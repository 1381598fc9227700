"""The identity of this process: a file lock on its host, a heartbeat for other hosts."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import socket
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from flowrunner.memory.message import new_id

#: Seconds without a heartbeat after which a process on another host counts as dead, if the database was reachable.
SILENCE: Final = 30.0

_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")


class ProcessMark:
    """The id of this process, and a byte of a lock file that it locks as long as it lives.

    The kernel releases the lock when the process dies, so that other processes on the host notice immediately.
    ``place`` names the file; processes that cannot access it use heartbeats.

    :param folder: the folder of the lock file, the same for all processes of a host.
    """

    def __init__(self, folder: Path) -> None:
        self.id = new_id()
        self.host = socket.gethostname()
        self.pid = os.getpid()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path = str(folder.resolve() / "processes.lock")
        self._file = _open(self._path, self.id)
        found = os.fstat(self._file)
        self.place = _digest(f"{_boot() or self.host}/{found.st_dev}/{found.st_ino}").hex()
        fcntl.lockf(self._file, fcntl.LOCK_EX, 1, _byte(self.id))

    def is_gone(self, other: str) -> bool:
        """Return whether a process with the same lock file has ended."""
        if other in _files[self._path].ids:
            return False
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _byte(other))
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EAGAIN):
                return False
            raise
        fcntl.lockf(self._file, fcntl.LOCK_UN, 1, _byte(other))
        return True

    def close(self) -> None:
        """Release the lock."""
        if self.pid == os.getpid():
            fcntl.lockf(self._file, fcntl.LOCK_UN, 1, _byte(self.id))
            _close(self._path, self.id)


@dataclass(slots=True)
class _Shared:
    """A lock file, opened once: closing one of two descriptors would release the locks of both."""

    file: int
    ids: set[str] = field(default_factory=set)


_files: Final[dict[str, _Shared]] = {}
_guard: Final = threading.Lock()
# Locks are not inherited by a child, so it opens its own file; the parent's descriptor stays open and unused.
os.register_at_fork(after_in_child=_files.clear)


def _open(path: str, mark: str) -> int:
    with _guard:
        shared = _files.get(path)
        if shared is None:
            shared = _files[path] = _Shared(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        shared.ids.add(mark)
        return shared.file


def _close(path: str, mark: str) -> None:
    with _guard:
        shared = _files.get(path)
        if shared is not None:
            shared.ids.discard(mark)
            if not shared.ids:
                os.close(_files.pop(path).file)


class Silences:
    """Detects processes of other hosts without a heartbeat, by the clock of this process.

    A heartbeat is an increasing number, so the clocks of two hosts are never compared. Periods in which the database
    could not be read do not count.
    """

    def __init__(self, silence: float = SILENCE) -> None:
        self._silence = silence
        self._seen: dict[str, tuple[int, float]] = {}

    def is_silent(self, process: str, beat: int) -> bool:
        """Check a heartbeat; return whether it has not changed for too long."""
        now = time.monotonic()
        before = self._seen.get(process)
        if before is None or before[0] != beat:
            self._seen[process] = (beat, now)
            return False
        return now - before[1] >= self._silence

    def forget(self) -> None:
        """Start again, after a period without access to the database."""
        self._seen.clear()


def _boot() -> str:
    try:
        return _BOOT.read_text().strip()
    except OSError:
        return ""


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def _byte(process: str) -> int:
    return int.from_bytes(_digest(process)[:8], "big") >> 2
