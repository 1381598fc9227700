"""Turns: runs in the same session run one after another, across all processes of a host."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from flowrunner.components.cancelling import CancelToken
from flowrunner.errors import SessionBusy
from flowrunner.memory.forks import after_fork

_FIRST_POLL: Final = 0.001
_LAST_POLL: Final = 0.05
#: The timeout of one attempt to take the store's own lock, in seconds.
_LONGEST_WAIT: Final = 1.0

SessionLock = Callable[[str, str, float], contextlib.AbstractContextManager[bool] | None]


@dataclass(frozen=True, slots=True)
class _Held:
    """A held session: a locked range of the lock file, or the store's own lock."""

    key: tuple[str, str]
    place: int | None
    lock: contextlib.AbstractContextManager[bool] | None


class Turns:
    """Makes runs in the same session wait for each other.

    Within a process, runs wait in order of arrival. Between processes, each session is represented by a byte range of
    one lock file, which is locked while a run holds the session; the kernel releases it when the process dies. The
    offset of the range is a 62-bit hash of owner and session, so there is no file per session and nothing to clean
    up.

    :param folder: the folder of the lock file, the same for all processes of the host.
    :param strategy: ``queue``, ``reject`` or ``parallel``.
    :param wait: how long a run waits for its turn, in seconds.
    :param session_lock: the lock of a backend whose store several hosts share.
    """

    def __init__(self, folder: Path, *, strategy: str, wait: float, session_lock: SessionLock | None = None) -> None:
        self._path = folder / "turns.lock"
        self._strategy = strategy
        self._wait = wait
        self._session_lock = session_lock
        self._file: int | None = None
        self._pid = 0
        self.start_in_child()
        after_fork(self.start_in_child)

    def start_in_child(self) -> None:
        """Begin with no session held, as in a forked process: those that are held are its parent's."""
        self._guard = threading.Lock()
        self._queues: dict[tuple[str, str], deque[threading.Event]] = {}

    def hold(
        self,
        owner: str,
        sessions: Iterable[str],
        *,
        held: frozenset[str] = frozenset(),
        cancelled: CancelToken,
        patient: bool = False,
    ) -> contextlib.AbstractContextManager[frozenset[str]]:
        """Return a context manager that holds sessions for a ``with`` block.

        Sessions are taken in sorted order, so that two runs cannot deadlock.

        :param held: sessions that the parent run already holds; they are shared, not waited for.
        :param patient: wait without a time limit, whatever the strategy.
        :returns: a context manager that yields all held sessions, including those of the parent.
        :raises SessionBusy: if a session is not free in time, or not immediately with ``reject``.
        """
        wanted = sorted(set(sessions) - held)
        if self._strategy == "parallel" or not wanted:
            return contextlib.nullcontext(held.union(wanted))
        wait = math.inf if patient else self._wait if self._strategy == "queue" else 0.0
        return _Turn(self, owner, wanted, held, wait, cancelled)

    def close(self) -> None:
        """Close the lock file."""
        with self._guard:
            if self._file is not None and self._pid == os.getpid():
                os.close(self._file)
            self._file = None

    def _take(self, owner: str, session_id: str, deadline: float, cancelled: CancelToken) -> _Held:
        key = (owner, session_id)
        self._queue_up(key, session_id, deadline, cancelled)
        try:
            lock = self._lock_of_store(owner, session_id, deadline, cancelled)
            if lock is not None:
                return _Held(key, None, lock)
            place = _place(owner, session_id)
            self._lock_range(place, session_id, deadline, cancelled)
            return _Held(key, place, None)
        except BaseException:
            self._leave(key)
            raise

    def _give_back(self, one: _Held) -> None:
        try:
            if one.lock is not None:
                one.lock.__exit__(None, None, None)
            elif one.place is not None:
                fcntl.lockf(self._open(), fcntl.LOCK_UN, 1, one.place)
        finally:
            self._leave(one.key)

    def _lock_of_store(
        self, owner: str, session_id: str, deadline: float, cancelled: CancelToken
    ) -> contextlib.AbstractContextManager[bool] | None:
        """Take the store's own lock, if it has one, in short attempts, so that the run can be cancelled meanwhile."""
        if self._session_lock is None:
            return None
        while True:
            left = max(0.0, deadline - time.monotonic())
            lock = self._session_lock(owner, session_id, min(left, _LONGEST_WAIT))
            if lock is None or lock.__enter__():
                return lock
            lock.__exit__(None, None, None)
            if left <= _LONGEST_WAIT:
                raise self._busy(session_id)
            cancelled.raise_if_set()

    def _queue_up(self, key: tuple[str, str], session_id: str, deadline: float, cancelled: CancelToken) -> None:
        with self._guard:
            if self._pid != os.getpid():
                self._start_afresh()
            queue = self._queues.get(key)
            if queue is None:
                self._queues[key] = deque()
                return
            turn = threading.Event()
            queue.append(turn)
        while not turn.wait(min(0.1, max(0.0, deadline - time.monotonic()))):
            if time.monotonic() < deadline and not cancelled.is_set():
                continue
            with self._guard:
                if turn.is_set():
                    return
                queue.remove(turn)
            cancelled.raise_if_set()
            raise self._busy(session_id)

    def _leave(self, key: tuple[str, str]) -> None:
        with self._guard:
            queue = self._queues.get(key)
            if queue:
                queue.popleft().set()
            else:
                self._queues.pop(key, None)

    def _lock_range(self, place: int, session_id: str, deadline: float, cancelled: CancelToken) -> None:
        pause = _FIRST_POLL
        # A file that may not be opened gives the same error number as a locked one.
        file = self._open()
        while True:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
                return
            except OSError as error:
                if error.errno not in (errno.EACCES, errno.EAGAIN):
                    raise
            left = deadline - time.monotonic()
            if left <= 0:
                raise self._busy(session_id)
            if cancelled.wait(min(pause, left)):
                cancelled.raise_if_set()
            pause = min(pause * 1.5, _LAST_POLL)

    def _open(self) -> int:
        """Return the lock file of this process; a forked child opens its own."""
        if self._file is None:
            with self._guard:
                if self._file is None:
                    self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                    self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        return self._file

    def _start_afresh(self) -> None:
        """Forget the locks of the parent process: a forked child does not inherit them."""
        self._pid = os.getpid()
        self._queues = {}
        self._file = None

    def _busy(self, session_id: str) -> SessionBusy:
        shown = session_id if len(session_id) <= 80 else session_id[:80] + "…"
        return SessionBusy(f"Another run is using the session {shown}; try again when it has ended.")


class _Turn:
    """The context manager of :meth:`Turns.hold`."""

    __slots__ = ("_cancelled", "_held", "_owner", "_taken", "_turns", "_wait", "_wanted")

    def __init__(
        self, turns: Turns, owner: str, wanted: list[str], held: frozenset[str], wait: float, cancelled: CancelToken
    ) -> None:
        self._turns = turns
        self._owner = owner
        self._wanted = wanted
        self._held = held
        self._wait = wait
        self._cancelled = cancelled
        self._taken: list[_Held] = []

    def __enter__(self) -> frozenset[str]:
        deadline = time.monotonic() + self._wait
        try:
            for session_id in self._wanted:
                self._taken.append(self._turns._take(self._owner, session_id, deadline, self._cancelled))
        except BaseException:
            self.__exit__()
            raise
        return self._held.union(self._wanted)

    def __exit__(self, *failure: object) -> None:
        for one in reversed(self._taken):
            self._turns._give_back(one)


def _place(owner: str, session_id: str) -> int:
    text = f"{owner}\0{session_id}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big") >> 2
