"""Waiting in tests: look again until it holds or the deadline has passed, and never sleep a fixed time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(holds: Callable[[], T], seconds: float = 20.0) -> T:
    """Look again and again until something holds, at most that long; return what it gave last."""
    deadline = time.monotonic() + seconds
    while True:
        found = holds()
        if found or time.monotonic() > deadline:
            return found
        time.sleep(0.02)
