"""Cancel tokens: request that a run stops."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

from flowrunner.errors import RunCancelled, RunTimeout


class CancelToken:
    """Signals that a run should stop. It is true once the run should stop; components that wait check it."""

    __slots__ = ("_acts", "_event", "_late", "_lock", "deadline", "reason")

    def __init__(self) -> None:
        #: The time of the monotonic clock at which the run should stop; None without a time limit.
        self.deadline: float | None = None
        self._late = ""
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._acts: list[Callable[[], object]] = []
        self.reason = ""

    def cancel(self, reason: str = "cancelled") -> None:
        """Ask the run to stop. Only the first reason is kept."""
        self.reason = self.reason or reason
        with self._lock:
            self._event.set()
            acts, self._acts = self._acts, []
        for act in acts:
            act()

    def stops_at(self, deadline: float | None, late: str) -> AbstractContextManager[None]:
        """Set a time limit for a block, unless there is an earlier one.

        A loop that checks the token then stops in time, even if the run is not cancelled.

        :param late: the message of the :class:`~flowrunner.RunTimeout`.
        """
        return _TimeLimit(self, deadline, late)

    def _is_late(self) -> bool:
        return self.deadline is not None and time.monotonic() > self.deadline

    def call_when_set(self, act: Callable[[], object]) -> Callable[[], None]:
        """Call a function on cancellation, immediately if the run is already cancelled.

                For code that waits where it cannot check the token, such as on a socket: ``act`` must end the
                waiting. It runs on the thread that cancels, and must not raise an exception.

        :returns: a function that removes ``act`` again.
        """
        with self._lock:
            if not self._event.is_set():
                self._acts.append(act)
                return lambda: self._forget(act)
        act()
        return lambda: None

    def _forget(self, act: Callable[[], object]) -> None:
        with self._lock:
            if act in self._acts:
                self._acts.remove(act)

    def is_set(self) -> bool:
        """Return whether the run should stop."""
        return self._event.is_set() or self._is_late()

    __bool__ = is_set

    def wait(self, seconds: float) -> bool:
        """Wait for a cancellation until a timeout; return whether it came."""
        if self.deadline is not None:
            seconds = min(seconds, max(0.0, self.deadline - time.monotonic()))
        return self._event.wait(seconds) or self._is_late()

    def raise_if_set(self) -> None:
        """Raise :class:`~flowrunner.RunCancelled` if the run should stop.

        :raises RunTimeout: if the time limit has passed.
        """
        if self._event.is_set():
            raise RunCancelled(f"The run was stopped: {self.reason}.")
        if self._is_late():
            raise RunTimeout(self._late)


class _TimeLimit:
    """The context manager of :meth:`CancelToken.stops_at`."""

    __slots__ = ("_before", "_limit", "_token")

    def __init__(self, token: CancelToken, deadline: float | None, late: str) -> None:
        self._token = token
        self._limit = deadline, late

    def __enter__(self) -> None:
        token, (deadline, late) = self._token, self._limit
        self._before = token.deadline, token._late
        if deadline is not None and (token.deadline is None or deadline < token.deadline):
            token.deadline, token._late = deadline, late

    def __exit__(self, *failure: object) -> None:
        self._token.deadline, self._token._late = self._before
