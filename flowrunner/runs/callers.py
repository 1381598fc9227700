"""Who asked for runs last, in all processes of a data folder: who is greedy in one is known to all."""

from __future__ import annotations

import os
import struct
import threading
import time
import zlib
from pathlib import Path
from typing import Final

#: Seconds after which a caller who asks no more counts as gone.
RECENT: Final = 2.0
#: Seconds between two times that a process tells the others the same, and between two looks at what they told.
_TELL: Final = 0.25
_LOOK: Final = 0.05
#: Seconds until a file that could not be used is tried again.
_RETRY: Final = 60.0
#: Seconds for which a process that tells nothing keeps its slot.
_KEPT: Final = 60.0
#: What a process tells: its mark, the last caller as a number, when that one asked, and when anybody else did.
_TOLD: Final = struct.Struct("<QQdd")
_SLOTS: Final = 64
_EMPTY: Final = bytes(_TOLD.size)
_NEVER: Final = float("-inf")

#: Who asked last, when, and when anybody else did.
_NOBODY: Final = ("", _NEVER, _NEVER)


class Callers:
    """The last caller of this process and the last one before it, and those of other processes that share a file.

    Two are enough to say of anybody whether somebody else asked. They are told to the others a few times a second, so
    that a run costs no system call, and what nobody repeats is no longer believed: a process that dies leaves nothing
    behind. It is a courtesy: where the file cannot be used, each process knows of its own callers.

    The clock is the machine's own, which counts from its start. Processes on another machine are not understood.
    """

    def __init__(self) -> None:
        self._path: Path | None = None
        self._file = -1
        self.begin()

    def begin(self) -> None:
        """Begin with nobody, as in a forked process: what its parent told stays the parent's."""
        self._lock = threading.Lock()
        self._mark = int.from_bytes(os.urandom(8), "little") or 1
        self._slot: int | None = None
        self._asked = _NOBODY
        self._told = _NOBODY
        self._seen: list[tuple[int, int, float, float]] = []
        self._seen_at = self._tried_at = _NEVER

    def share(self, path: Path) -> None:
        """Share them with all who share the file; it is made when somebody asks."""
        self._path = path

    def note(self, group: str, now: float) -> bool:
        """Note that a caller asks; say whether the others should be told.

        One thread at a time may call it.
        """
        name, at, other_at = self._asked
        self._asked = (group, now, other_at if group == name else at)
        told, told_at, other_told_at = self._told
        return now - other_told_at > _TELL and (group != told or now - told_at > _TELL)

    def others_ask(self, group: str, now: float, within: float | None = None) -> bool:
        """Return whether anybody but this caller has asked of late, in any process.

        :param within: for how many seconds whoever asked counts; :data:`RECENT` unless said otherwise.
        """
        within = RECENT if within is None else within
        name, at, other_at = self._asked
        if now - (other_at if name == group else at) < within:
            return True
        return self._path is not None and self._elsewhere(_number(group), now, within)

    def alone(self, now: float) -> str | None:
        """Return who asked this process last if nobody else has of late."""
        name, _, other_at = self._asked
        return name if now - other_at >= RECENT else None

    def tell(self) -> None:
        """Tell the other processes who asked last here."""
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
        """Tell the others that nobody asks here any more, and close the file; a second call does nothing."""
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
        """Find a slot that nobody uses; say whether there is one."""
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
        """Return whether the slot of this process is still its own: one that was not used for long is another's."""
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
