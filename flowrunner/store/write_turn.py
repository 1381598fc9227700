"""Fair write access to a SQLite file: a process that writes continuously must not keep others from writing.

SQLite grants its lock to whoever asks at the right moment: waiting processes retry after up to 100 ms, so a process
that writes again immediately is always first.
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

#: Seconds between two attempts of a waiting process.
_LOOK: Final = 0.0005
#: Seconds after which waiting processes have retried, so that a process that has written may write again.
_CHANCE: Final = 2 * _LOOK
#: Seconds for which a process yields to others, and for which background writes yield.
_GIVE_WAY: Final = 0.03
_BACKGROUND: Final = 0.25
#: The number of checks in a row that must find no other writer.
_GAP: Final = 3
#: Bytes of the lock file: the current writer, and the next one.
_NOW, _NEXT = 0, 1
#: The ``flock`` structure of Linux: type, whence, start, length, process. Other systems have other layouts.
_FLOCK: Final = struct.Struct("@hhqqi4x")
_SEES_LOCKS: Final = sys.platform == "linux" and struct.calcsize("P") == 8
#: The turn of each file that an engine has, by its path without links. Engines keep theirs under a name of ours.
_turns: Final[weakref.WeakValueDictionary[str, WriteTurn]] = weakref.WeakValueDictionary()
_TURN: Final = "_flowrunner_write_turn"
#: Held while a turn is looked for; the collector may come meanwhile and close a runner, which looks for its own.
_finding = threading.RLock()


class GivesWay(Protocol):
    """An object that knows for whom this process writes."""

    def gives_way(self) -> bool:
        """Return whether this process has nothing to write for callers with precedence."""


class WriteTurn:
    """The write turns of one file. They are advisory: SQLite's own lock decides, even if a turn cannot be taken.

    A process that wants to write becomes the next writer, and stays so until it writes; no process that has just
    written can overtake it. A process that yields does not become the next writer for a while: it writes when no
    other process does.

    :param path: the path of the lock file.
    :param patience: the maximum time to wait for a turn, in seconds.
    """

    def __init__(self, path: str, patience: float) -> None:
        self._path = path
        self._patience = patience
        #: Returns whether this process has nothing to write for callers with precedence.
        self.gives_way: Callable[[], bool] = _never
        self.begin()
        # Created here and not on first use, since several threads may be first.
        after_fork(self.begin)

    def begin(self) -> None:
        """Reset the state in a forked process, which does not hold its parent's locks."""
        self._lock = threading.Lock()
        self._file: int | None = None
        self._written_at = 0.0

    def close(self) -> None:
        """Close the lock file, unless it is in use; a later writer opens it again."""
        lock = self._lock
        if lock.acquire(blocking=False):
            try:
                if self._file is not None:
                    os.close(self._file)
                    self._file = None
            finally:
                lock.release()

    def __del__(self) -> None:
        self.close()

    def was_taken(self) -> bool:
        """Return whether any process has ever taken a turn."""
        return os.path.exists(self._path)  # noqa: PTH110

    def held(self, *, background: bool = False) -> AbstractContextManager[None]:
        """Return a context manager that holds the turn.

        :param background: nobody waits for this write, so it yields to all others, also in this process.
        """
        return _Held(self, background)

    def take(self, *, background: bool) -> tuple[bool, bool]:
        """Wait for the turn; return whether it was taken within this process, and among processes."""
        gives_way = background or self.gives_way()
        if gives_way and self._find_gap(_BACKGROUND if background else _GIVE_WAY):
            return True, True
        deadline = time.monotonic() + self._patience
        mine = self._lock.acquire(timeout=self._patience)
        return mine, mine and (self._take_at_once() or self._take(deadline))

    def leave(self, mine: bool, held: bool) -> None:
        """Release what :meth:`take` has taken."""
        try:
            if held:
                self._free(_NOW)
        finally:
            if mine:
                self._written_at = time.monotonic()
                self._lock.release()

    def _find_gap(self, seconds: float) -> bool:
        """Wait for a short period without other writers; return whether there was one and the turn was taken in it.

        A period, since a process with much to write starts again immediately.
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
        """Return whether no other process is the current or next writer, as far as can be seen.

        Checking this by taking the turn would block others, since a thread may have to wait for the interpreter lock.
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
        """Take the turn with one lock instead of three, if waiting processes have retried since the last write."""
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
            # The folder is not writable, or the file system has no locks.
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
    """The context manager of :meth:`WriteTurn.held`; a class, since each run enters it."""

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
    """Return a context manager that holds the turn of a write transaction; it does nothing unless on SQLite.

    :param background: nobody waits for this write.
    """
    turn = _turn_of(engine)
    return nullcontext() if turn is None else turn.held(background=background)


def give_way(engine: Engine, who: GivesWay) -> None:
    """Make this process yield to others while it has nothing to write for callers with precedence.

    :param who: decides this; only a weak reference is kept.
    """
    turn = _turn_of(engine)
    if turn is not None:
        reference = weakref.ref(who)
        turn.gives_way = lambda: (found := reference()) is not None and found.gives_way()


def was_written(engine: Engine) -> bool:
    """Return whether any process has written to the file of an engine, according to the files beside it."""
    turn = _turn_of(engine)
    return turn is not None and turn.was_taken()


def close_turn(engine: Engine) -> None:
    """Close the lock file of a closed engine."""
    turn = vars(engine).get(_TURN)
    if turn is not None:
        turn.close()


def _turn_of(engine: Engine) -> WriteTurn | None:
    try:
        turn: WriteTurn | None = vars(engine)[_TURN]
    except KeyError:
        turn = vars(engine).setdefault(_TURN, _find_turn(engine))
    return turn


def _find_turn(engine: Engine) -> WriteTurn | None:
    """Return the turn of an engine's file, however its path is spelled; None on other databases."""
    database = engine.url.database
    if engine.dialect.name != "sqlite" or not database or database.startswith((":", "file:")):
        return None
    file = os.path.realpath(database)
    # A weak dictionary looks and sets in two steps.
    with _finding:
        return _turns.setdefault(file, WriteTurn(f"{file}-turn", 30.0))


def _start_in_child() -> None:
    global _finding
    _finding = threading.RLock()


os.register_at_fork(after_in_child=_start_in_child)
