"""Taking turns to write to a SQLite file, so that a process that writes all the time lets the others write, too.

SQLite lets whoever asks at the right moment write: those who wait look again after up to 100 ms, and a process
that goes on at once is always there first.
"""

from __future__ import annotations

import fcntl
import os
import struct
import sys
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Final, Protocol

from flowrunner.memory.forks import after_fork

if TYPE_CHECKING:
    from sqlalchemy import Engine

#: Seconds between two looks of whoever waits.
_LOOK: Final = 0.0005
#: Seconds after which a process that has written comes no longer "at once": who waits has looked by then.
_CHANCE: Final = 2 * _LOOK
#: Seconds for which a process gives way to others, and for which what nobody waits for does.
_GIVE_WAY: Final = 0.03
_BACKGROUND: Final = 0.25
#: How many looks in a row must find nobody.
_GAP: Final = 3
#: Bytes of the lock file: the one who writes, and the one who writes next.
_NOW, _NEXT = 0, 1
#: How Linux says who has a lock: kind, whence, first byte, number, process. Other systems say it otherwise.
_FLOCK: Final = struct.Struct("@hhqqi4x")
_SEES_LOCKS: Final = sys.platform == "linux" and struct.calcsize("P") == 8
_turns: Final[dict[str, WriteTurn]] = {}


class GivesWay(Protocol):
    """Somebody who knows for whom this process writes."""

    def gives_way(self) -> bool:
        """Say whether there is nothing to write for those who should be served first."""


class WriteTurn:
    """The turns of one file. They are a courtesy: SQLite's own lock decides, also where this one cannot be had.

    Whoever wants to write first becomes the next one, and stays so until it writes; nobody who has just written can
    be before it. Whoever gives way does not become the next one for a while: it writes when nobody else does.

    :param path: of the lock file.
    :param patience: seconds after which a turn is no longer waited for.
    """

    def __init__(self, path: str, patience: float) -> None:
        self._path = path
        self._patience = patience
        #: Says whether this process has nothing to write for those who should be served first.
        self.gives_way: Callable[[], bool] = _never
        self.begin()
        # At once, and not when it is first used: several threads may be the first.
        after_fork(self.begin)

    def begin(self) -> None:
        """Begin afresh in a forked process: what its parent holds, it does not."""
        self._lock = threading.Lock()
        self._file: int | None = None
        self._written_at = 0.0

    def close(self) -> None:
        """Close the lock file, unless somebody writes; whoever writes later opens it again."""
        lock = self._lock
        if lock.acquire(blocking=False):
            try:
                if self._file is not None:
                    os.close(self._file)
                    self._file = None
            finally:
                lock.release()

    def was_taken(self) -> bool:
        """Return whether anybody has ever taken this turn."""
        return os.path.exists(self._path)  # noqa: PTH110

    def held(self, *, background: bool = False) -> AbstractContextManager[None]:
        """Write within.

        :param background: nobody waits for what is written, so it gives way to all others, in this process, too.
        """
        return _Held(self, background)

    def take(self, *, background: bool) -> tuple[bool, bool]:
        """Wait for the turn; say whether it was had within this process, and whether among processes."""
        gives_way = background or self.gives_way()
        if gives_way and self._find_gap(_BACKGROUND if background else _GIVE_WAY):
            return True, True
        deadline = time.monotonic() + self._patience
        mine = self._lock.acquire(timeout=self._patience)
        return mine, mine and (self._take_at_once() or self._take(deadline))

    def leave(self, mine: bool, held: bool) -> None:
        """Give back what :meth:`take` had."""
        try:
            if held:
                self._free(_NOW)
        finally:
            if mine:
                self._written_at = time.monotonic()
                self._lock.release()

    def _find_gap(self, seconds: float) -> bool:
        """Wait until nobody has written for a moment, or wanted to; say whether there was one, in which all is taken.

        A moment, since a process with much to write begins again at once.
        """
        until, free = time.monotonic() + seconds, 0
        while True:
            free = free + 1 if not self._lock.locked() and self._is_free() else 0
            if free >= _GAP and self._lock.acquire(blocking=False):
                if self._take(0.0):
                    return True
                self._lock.release()
                free = 0
            if time.monotonic() > until:
                return False
            time.sleep(_LOOK)

    def _is_free(self) -> bool:
        """Say whether no other process writes or is the next one, as far as that can be seen.

        To see it by taking the turn would keep others from it: a thread gets the interpreter back only after a while.
        """
        if not _SEES_LOCKS or self._file is None:
            return True
        asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, _NOW, 2, 0)
        try:
            kind: int = _FLOCK.unpack(fcntl.fcntl(self._file, fcntl.F_GETLK, asked))[0]
        except OSError:
            return True
        return kind == fcntl.F_UNLCK

    def _take_at_once(self) -> bool:
        """Take the turn with one lock instead of three: whoever waits has looked since this process wrote last."""
        try:
            if self._file is None:
                self._open()
            return time.monotonic() - self._written_at > _CHANCE and self._lock_now(_NOW)
        except OSError:
            return False

    def _open(self) -> None:
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def _take(self, deadline: float) -> bool:
        try:
            if self._file is None:
                self._open()
            if not self._wait_for(_NEXT, deadline):
                return False
            try:
                return self._wait_for(_NOW, deadline)
            finally:
                self._free(_NEXT)
        except OSError:
            # A folder that may not be written, or a file system without locks.
            return False

    def _wait_for(self, place: int, deadline: float) -> bool:
        while not self._lock_now(place):
            if time.monotonic() > deadline:
                return False
            time.sleep(_LOOK)
        return True

    def _lock_now(self, place: int) -> bool:
        assert self._file is not None
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
        except (BlockingIOError, PermissionError):
            return False
        return True

    def _free(self, place: int) -> None:
        assert self._file is not None
        fcntl.lockf(self._file, fcntl.LOCK_UN, 1, place)


class _Held:
    """The block of :meth:`WriteTurn.held`; a class, since each run enters it."""

    __slots__ = ("_background", "_taken", "_turn")

    def __init__(self, turn: WriteTurn, background: bool) -> None:
        self._turn = turn
        self._background = background

    def __enter__(self) -> None:
        self._taken = self._turn.take(background=self._background)

    def __exit__(self, *failure: object) -> None:
        self._turn.leave(*self._taken)


def _never() -> bool:
    return False


def taking_turns(engine: Engine, *, background: bool = False) -> AbstractContextManager[None]:
    """Return what surrounds a transaction that writes; on other databases than SQLite nothing is waited for.

    :param background: nobody waits for what is written.
    """
    turn = _turn_of(engine)
    return nullcontext() if turn is None else turn.held(background=background)


def give_way(engine: Engine, who: GivesWay) -> None:
    """Let this process write after all others while it has nothing to write for those who should be served first.

    :param who: says so; it is not kept alive.
    """
    turn = _turn_of(engine)
    if turn is not None:
        reference = weakref.ref(who)
        turn.gives_way = lambda: (found := reference()) is not None and found.gives_way()


def was_written(engine: Engine) -> bool:
    """Return whether anybody has written to the file of an engine, as far as what lies beside it tells."""
    turn = _turn_of(engine)
    return turn is not None and turn.was_taken()


def close_turn(engine: Engine) -> None:
    """Close the lock file of an engine that is closed."""
    turn = _turns.get(engine.url.database or "")
    if turn is not None:
        turn.close()


def _turn_of(engine: Engine) -> WriteTurn | None:
    if engine.dialect.name != "sqlite":
        return None
    database = engine.url.database
    if not database or database.startswith((":", "file:")):
        return None
    turn = _turns.get(database)
    if turn is None:
        # No lock: a process may be forked while another thread has it, and nobody would give it back there.
        turn = _turns.setdefault(database, WriteTurn(f"{database}-turn", 30.0))
    return turn
