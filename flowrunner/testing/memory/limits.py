"""A time limit for each test, so that a backend that hangs is reported by test name."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest


def limit_of(tests: Any) -> float:
    """Return the seconds that each test of a class may take; ``MEMORY_KIT_TIME_LIMIT`` goes before the class."""
    return float(os.environ.get("MEMORY_KIT_TIME_LIMIT") or tests.time_limit)


@contextmanager
def limited(seconds: float, name: str) -> Iterator[None]:
    """Fail the test that goes on within the block if it takes longer.

    The alarm comes again each time as much has passed, so that a backend which also hangs when it
    is closed ends the test all the same. There is no limit where a signal cannot be used: outside
    of the main thread, and where another plugin of pytest has taken the alarm for itself.
    """
    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or not hasattr(signal, "setitimer") or signal.getsignal(signal.SIGALRM) is not signal.SIG_DFL:
        yield
        return

    def stop(number: int, frame: Any) -> None:
        pytest.fail(
            f"{name} was not done after {seconds:g} s: the backend hangs, or is very slow."
            " The lines above say where; time_limit of the class, or MEMORY_KIT_TIME_LIMIT, allows more."
        )

    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
