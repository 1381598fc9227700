"""Monitor the stores of a runner: bounded checks, and one log line when their state changes."""

from __future__ import annotations

import logging
import mmap
import threading
import time
from collections.abc import Callable, Mapping
from typing import Final

from flowrunner.errors import FlowRunnerError, NotReady
from flowrunner.memory.forks import after_fork
from flowrunner.store.outage import SILENT, DatabaseFailed, Outage, outage_of, sentence, told_by

logger = logging.getLogger("flowrunner")

#: Seconds in which a health check is answered, for which an answer is good, and between two looks at what fails.
WITHIN: Final = 1.5
_FRESH: Final = 0.5
_PAUSE: Final = 1.0
#: Seconds for which a store that was found in order is trusted while a look takes long.
_TRUSTED: Final = 5.0
#: Looks in a row after which a store counts as one that can be used: a server that comes back may go once more.
_GOOD_LOOKS: Final = 2
#: Seconds between two lines about failures of a store that otherwise works.
_QUIET: Final = 60.0

#: Looks at one store each, by name; raises if it cannot be used.
Looks = Mapping[str, Callable[[], object]]


class _Round:
    """One look at everything, on a thread of its own, which may never come back."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.ended = 0.0
        self.errors: dict[str, BaseException] = {}

    def look(self, looks: Looks) -> None:
        for name, look in looks.items():
            try:
                look()
            except Exception as error:
                self.errors[name] = error
        self.ended = time.monotonic()
        self.done.set()


class StoreWatch:
    """Looks whether stores can be used: when somebody asks, and while they cannot, time and again.

    What is known is said in the log once, by one of the processes that were forked from the same one:
    when the stores can no longer be used, and when they can again.

    :param looks: returns what is to be looked at; asked with each look.
    """

    def __init__(self, looks: Callable[[], Looks]) -> None:
        self._looks = looks
        # One byte that forked processes share: whether it has been said that the stores fail.
        self._told = mmap.mmap(-1, 1)
        self._start()
        after_fork(self.start_in_child)

    def _start(self) -> None:
        self._guard = threading.Lock()
        self._round: _Round | None = None
        self._following: threading.Thread | None = None
        self._since = 0.0
        self._said_at = self._good_at = float("-inf")
        self._latest: BaseException | None = None
        self._closing = threading.Event()
        #: What to answer at once instead of trying, while nothing of the stores can be used.
        self.refusal = ""

    def start_in_child(self) -> None:
        """Begin afresh in a forked process, where the threads are not."""
        self._start()

    def close(self) -> None:
        """Look no more, once a look that is in progress has ended: it would open again what is closed next."""
        with self._guard:
            self._closing.set()
            current = self._round
        if current is not None:
            current.done.wait(WITHIN)

    def check(self, within: float = WITHIN) -> Mapping[str, BaseException]:
        """Return what is wrong with which store, by name, after so many seconds at most.

        A store that has not answered by then is one that does not answer.
        """
        found = self._look(within)
        if found:
            self.failed(next(iter(found.values())))
        return found

    def failed(self, error: BaseException) -> None:
        """Take notice of an error of a store; it is said in the log unless that has been said."""
        with self._guard:
            self._latest = error
            if self._following is not None or self._closing.is_set():
                return
            self._since = time.monotonic()
            self._following = threading.Thread(target=self._follow, name="flowrunner-stores", daemon=True)
            try:
                self._following.start()
            except RuntimeError:
                # The process ends.
                self._following = None

    def _look(self, within: float) -> Mapping[str, BaseException]:
        with self._guard:
            current = self._round
            is_old = current is None or (current.done.is_set() and time.monotonic() - current.ended > _FRESH)
            if is_old and not self._closing.is_set():
                looks = self._looks()
                current = self._round = _Round()
                threading.Thread(target=current.look, args=(looks,), name="flowrunner-look", daemon=True).start()
        if current is None:
            return {}
        if not current.done.wait(within):
            if time.monotonic() - self._good_at < _TRUSTED:
                # Where many threads work, a look itself takes long; a store that was there a moment ago is not gone.
                return {}
            silence = DatabaseFailed(SILENT, f"no answer within {within:g} seconds")
            return {name: current.errors.get(name, silence) for name in ("database", "memory")}
        self._good_at = float("-inf") if current.errors else current.ended
        return dict(current.errors)

    def _follow(self) -> None:
        """Look until everything can be used again."""
        good, gone = 0, False
        while good < _GOOD_LOOKS:
            found = self._look(WITHIN)
            if not found:
                good, self.refusal = good + 1, ""
            else:
                good, gone = 0, True
                error = next(iter(found.values()))
                outage = outage_of(error)
                self.refusal = sentence(outage) if outage is not None and outage.is_total else ""
                self._say_gone(error, outage)
            if self._closing.wait(_PAUSE):
                return
        if gone:
            self._say_back()
        else:
            self._say_once()
        with self._guard:
            self._following = None

    def _say_once(self) -> None:
        error = self._latest
        now = time.monotonic()
        if error is not None and now - self._said_at >= _QUIET:
            self._said_at = now
            logger.error("A store failed and works again: %s", _told(error, outage_of(error)))

    def _say_gone(self, error: BaseException, outage: Outage | None) -> None:
        if not self._told[0]:
            self._told[0] = 1
            logger.error("The stores cannot be used: %s", _told(error, outage))

    def _say_back(self) -> None:
        if self._told[0]:
            self._told[0] = 0
            logger.warning("The stores work again after %.0f seconds.", time.monotonic() - self._since)


def _told(error: BaseException, outage: Outage | None) -> str:
    if outage is None:
        error = error.__cause__ if isinstance(error, NotReady) and error.__cause__ is not None else error
        return error.message if isinstance(error, FlowRunnerError) else f"{type(error).__name__}: {told_by(error)}"
    return f"{outage.reason}: {told_by(error)}. {outage.remedy}"
