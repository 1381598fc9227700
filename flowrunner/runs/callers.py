"""The most recent callers in all processes of a data folder, so that fairness works across processes."""

from __future__ import annotations

import os
import struct
import threading
import time
import zlib
from pathlib import Path
from typing import Final

#: Seconds without a request after which a caller counts as inactive.
RECENT: Final = 2.0
#: Seconds between repeated announcements of a process, and between reads of others' announcements.
_TELL: Final = 0.25
_LOOK: Final = 0.05
#: Seconds until a file that could not be used is retried.
_RETRY: Final = 60.0
#: Seconds without an announcement after which a process loses its slot.
_KEPT: Final = 60.0
#: The record of a process: its mark, the last caller as a number, the time of that caller's request, and that of
#: others.
_TOLD: Final = struct.Struct("<QQdd")
_SLOTS: Final = 64
_EMPTY: Final = bytes(_TOLD.size)
_NEVER: Final = float("-inf")

#: The last caller, the time of its request, and the time of the last request of another caller.
_NOBODY: Final = ("", _NEVER, _NEVER)


class Callers:
    """The last caller of this process and the one before it, and those of other processes that share a file.

    Two callers suffice to know, for any caller, whether another one is active. They are announced to other processes
    a few times per second, so that a run costs no system call. Announcements expire, so a process that dies leaves
    nothing behind. If the file cannot be used, each process knows only its own callers.

    Times are those of the machine's monotonic clock, so processes on other machines are not considered.
    """

    def __init__(self) -> None:
        self._path: Path | None = None
        self._file = -1
        self.begin()

    def begin(self) -> None:
        """Reset the state, as in a forked process: the announcements of the parent remain the parent's."""
        self._lock = threading.Lock()
        self._mark = int.from_bytes(os.urandom(8), "little") or 1
        self._slot: int | None = None
        self._asked = _NOBODY
        self._told = _NOBODY
        self._seen: list[tuple[int, int, float, float]] = []
        self._seen_at = self._tried_at = _NEVER

    def share(self, path: Path) -> None:
        """Share the callers through a file, which is created on first use."""
        self._path = path

    def note(self, group: str, now: float) -> bool:
        """Record a request of a caller; return whether to announce it to other processes.

        Not thread-safe: only one thread at a time may call it.
        """
        name, at, other_at = self._asked
        self._asked = (group, now, other_at if group == name else at)
        told, told_at, other_told_at = self._told
        return now - other_told_at > _TELL and (group != told or now - told_at > _TELL)

    def others_ask(self, group: str, now: float, within: float | None = None) -> bool:
        """Return whether another caller has made a request recently, in any process.

        :param within: how many seconds count as recent; :data:`RECENT` by default.
        """
        within = RECENT if within is None else within
        name, at, other_at = self._asked
        if now - (other_at if name == group else at) < within:
            return True
        return self._path is not None and self._elsewhere(_number(group), now, within)

    def alone(self, now: float) -> str | None:
        """Return the only recent caller of this process; None if there are several or none."""
        name, _, other_at = self._asked
        return name if now - other_at >= RECENT else None

    def tell(self) -> None:
        """Announce the last callers to other processes."""
        if self._path is None or not self._lock.acquire(blocking=False):
            return
        try:
            asked, now = self._asked, time.monotonic()
            self._told = asked
            if self._opened(now) and self._find_slot(now):
                name, at, other_at = asked
                self._write(_TOLD.pack(self._mark, _number(name), at, other_at))
        except OSError:
            self._fail()
        finally:
            self._lock.release()

    def close(self) -> None:
        """Withdraw the announcement and close the file; a second call does nothing."""
        with self._lock:
            self._path = None
            try:
                if self._file >= 0 and self._is_ours():
                    self._write(_EMPTY)
            except OSError:
                pass
            self._fail()

    def _elsewhere(self, number: int, now: float, within: float) -> bool:
        if now - self._seen_at > _LOOK and self._lock.acquire(blocking=False):
            try:
                self._seen_at = now
                self._seen = self._read() if self._opened(now) else []
            except OSError:
                self._fail()
            finally:
                self._lock.release()
        for mark, name, at, other_at in self._seen:
            if mark != self._mark and abs(now - (other_at if name == number else at)) < within:
                return True
        return False

    def _opened(self, now: float) -> bool:
        if self._file < 0 and self._path is not None and now - self._tried_at > _RETRY:
            self._tried_at = now
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        return self._file >= 0

    def _find_slot(self, now: float) -> bool:
        """Find an unused slot in the file; return whether there is one."""
        if self._is_ours():
            return True
        told = self._read()
        for number in range(_SLOTS):
            slot = (self._mark + number) % _SLOTS
            if slot >= len(told) or not (told[slot][0] and abs(now - told[slot][2]) < _KEPT):
                self._slot = slot
                return True
        return False

    def _is_ours(self) -> bool:
        """Return whether this process still owns its slot; a slot unused for long may be taken by another process."""
        if self._slot is None:
            return False
        mark = os.pread(self._file, 8, self._slot * _TOLD.size)
        return int.from_bytes(mark, "little") == self._mark

    def _read(self) -> list[tuple[int, int, float, float]]:
        data = os.pread(self._file, _SLOTS * _TOLD.size, 0)
        return list(_TOLD.iter_unpack(data[: len(data) // _TOLD.size * _TOLD.size]))

    def _write(self, data: bytes) -> None:
        assert self._slot is not None
        os.pwrite(self._file, data, self._slot * _TOLD.size)

    def _fail(self) -> None:
        self._slot, self._seen = None, []
        if self._file >= 0:
            file, self._file = self._file, -1
            os.close(file)


def _number(group: str) -> int:
    return zlib.crc32(group.encode("utf-8", "surrogatepass"))
