"""Whether the machine stood still while something had to be done in time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

#: How often something is tried where the machine stands still each time.
ATTEMPTS: Final = 4


class Stalls:
    """Watch, as long as the block runs, whether a thread of this process waits much longer than it wanted.

    :param seconds: how much longer.
    """

    def __init__(self, seconds: float) -> None:
        self.seen = False
        self._seconds = seconds
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Stalls:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        last = time.monotonic()
        while not self._over.wait(self._seconds / 4):
            now = time.monotonic()
            self.seen = self.seen or now - last > 1.25 * self._seconds
            last = now


def try_in_time(seconds: float, attempt: Callable[[], None]) -> None:
    """Do what a store must do in time, and once more if it fails while the machine stands still.

    A failure on a machine that does not stand still is one at once.

    :param seconds: how long the machine may stand still for the failure to be the store's own.
    :raises AssertionError: what the attempt raised.
    """
    for number in range(1, ATTEMPTS + 1):
        with Stalls(seconds) as stalls:
            try:
                return attempt()
            except AssertionError:
                if number == ATTEMPTS or not stalls.seen:
                    raise
    return None
