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

#: In seconds: the time limit of a health check, the lifetime of its answer, the interval between checks of a failing
#: store.
WITHIN: Final = 1.5
_FRESH: Final = 0.5
_PAUSE: Final = 1.0
#: Seconds for which the last good result is trusted while a check takes long.
_TRUSTED: Final = 5.0
#: The successful checks in a row after which a store counts as working: a server that restarts may fail again.
_GOOD_LOOKS: Final = 2
#: Seconds between two log lines about a store that works but failed in between.
_QUIET: Final = 60.0

#: Checks by the name of their store; a check raises an exception if the store cannot be used.
Looks = Mapping[str, Callable[[], object]]


class _Round:
    """One check of all stores, on its own thread, which may block forever."""

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
    """Checks whether stores can be used: on request, and repeatedly while they cannot.

    Changes are logged once by one of the processes forked from the same parent: when the stores become unusable, and
    when they work again.

    :param looks: returns the checks to run; called for each round.
    """

    def __init__(self, looks: Callable[[], Looks]) -> None:
        self._looks = looks
        # One byte shared by forked processes: whether the failure was logged.
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
        #: The immediate answer to requests while the stores cannot be used at all.
        self.refusal = ""

    def start_in_child(self) -> None:
        """Reset the state in a forked process, which has no threads."""
        self._start()

    def close(self) -> None:
        """Stop, after waiting for a check in progress: it could reopen what is closed next."""
        with self._guard:
            self._closing.set()
            current = self._round
        if current is not None:
            current.done.wait(WITHIN)

    def check(self, within: float = WITHIN) -> Mapping[str, BaseException]:
        """Return the problems of stores, by name, within the time limit.

        A store that does not answer in time is reported as not answering.
        """
        found = self._look(within)
        if found:
            self.failed(next(iter(found.values())))
        return found

    def why_unusable(self) -> str:
        """Return within two seconds why a store cannot be used; blank if all can be used."""
        wrong = self.check()
        if not wrong:
            return ""
        outage = outage_of(next(iter(wrong.values())))
        return outage.reason if outage is not None else "a store cannot be used"

    def failed(self, error: BaseException) -> None:
        """Handle an error of a store: log it, unless the failure was logged already."""
        with self._guard:
            self._latest = error
            if self._following is not None or self._closing.is_set():
                return
            self._since = time.monotonic()
            self._following = threading.Thread(target=self._follow, name="flowrunner-stores", daemon=True)
            try:
                self._following.start()
            except RuntimeError:
                # The process is ending.
                self._following = None

    def _look(self, within: float) -> Mapping[str, BaseException]:
        with self._guard:
            current = self._round
            is_old = current is None or (current.done.is_set() and time.monotonic() - current.ended > _FRESH)
            if is_old and not self._closing.is_set():
                looks, current = self._looks(), _Round()
                looking = threading.Thread(target=current.look, args=(looks,), name="flowrunner-look", daemon=True)
                try:
                    looking.start()
                except RuntimeError:
                    # No thread is left for it, which says nothing new of the stores.
                    return {} if self._round is None else dict(self._round.errors)
                self._round = current
        if current is None:
            return {}
        if not current.done.wait(within):
            if time.monotonic() - self._good_at < _TRUSTED:
                # With many busy threads, the check itself takes long: trust a store that worked a moment ago.
                return {}
            silence = DatabaseFailed(SILENT, f"no answer within {within:g} seconds")
            return {name: current.errors.get(name, silence) for name in ("database", "memory")}
        self._good_at = float("-inf") if current.errors else current.ended
        return dict(current.errors)

    def _follow(self) -> None:
        """Repeat the checks until all stores work again."""
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
