"""Purge periodically while a server runs, in one of its workers."""

from __future__ import annotations

import fcntl
import logging
import os
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

logger = logging.getLogger("flowrunner")

#: Other workers may purge in between, so every worker checks at least this often.
_LONGEST_PAUSE = 60.0


class PurgeTimer:
    """Calls a function at an interval, in one process of the host.

    A file in the data folder says by its time when that was, and is locked for without a time limit.

    :param folder: the data folder, which all workers share.
    :param every: seconds.
    :param act: what is called; it gets a function that says whether the timer was stopped.
    """

    def __init__(self, folder: Path, every: float, act: Callable[[Callable[[], bool]], object]) -> None:
        self._path = folder / "purge.lock"
        self._every = every
        self._act = act
        self._starting = threading.Lock()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._pid = 0

    def start(self) -> None:
        """Start the timer, unless this process has; a forked child starts its own."""
        if self._pid == os.getpid() or self._stopped.is_set():
            return
        with self._starting:
            if self._pid != os.getpid():
                thread = threading.Thread(target=self._go, name="flowrunner-purge", daemon=True)
                # Where no thread can be started, the next call tries again.
                with suppress(RuntimeError):
                    thread.start()
                    self._thread, self._pid = thread, os.getpid()

    def stop(self, wait: float = 10.0) -> None:
        """Stop, after waiting for a purge in progress for a limited time."""
        self._stopped.set()
        if self._thread is not None and self._pid == os.getpid():
            self._thread.join(wait)

    def act_if_due(self) -> float:
        """Call the function if it is due and no other process calls it; return the seconds until the next call."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return self._every
            passed = time.time() - os.fstat(file.fileno()).st_mtime
            if 0 <= passed < self._every:
                return self._every - passed
            self._act(self._stopped.is_set)
            os.utime(self._path)
            return self._every

    def _go(self) -> None:
        pause = 0.0
        while not self._stopped.wait(min(pause, _LONGEST_PAUSE)):
            try:
                pause = self.act_if_due()
            except Exception:
                logger.exception("messages could not be purged; trying again later")
                pause = self._every


def weakly(act: Callable[[Callable[[], bool]], None]) -> Callable[[Callable[[], bool]], None]:
    """Return what calls a method as long as its object is there: a timer's thread must not keep it alive."""
    reference = weakref.WeakMethod(act)

    def call(stopped: Callable[[], bool]) -> None:
        found = reference()
        if found is not None:
            found(stopped)

    return call
