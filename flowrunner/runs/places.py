"""Limit the concurrent runs of a process."""

from __future__ import annotations

import math
import time

from flowrunner.components.cancelling import CancelToken
from flowrunner.errors import TooBusy
from flowrunner.runs.fairness import FairPlaces, Place
from flowrunner.settings.setting import Settings


class RunPlace:
    """A context manager that holds one of the places for runs of a process.

    :param group: the group with which the caller shares places.
    :param patient: wait without a time limit.
    :raises TooBusy: if no place is free in time.
    :raises RunCancelled: if the run is cancelled meanwhile.
    """

    __slots__ = ("_cancelled", "_deadline", "_most", "_place", "_places")

    def __init__(
        self, places: FairPlaces, settings: Settings, group: str, cancelled: CancelToken, *, patient: bool
    ) -> None:
        self._places = places
        self._most = settings.max_runs
        self._cancelled = cancelled
        self._place = Place(group)
        self._deadline = math.inf if patient else time.monotonic() + settings.turn_wait

    def __enter__(self) -> None:
        if not self._places.take(self._place, self._waits):
            raise TooBusy(
                f"The server is at its limit of {self._most} concurrent runs (FLOWRUNNER_MAX_RUNS); try again."
            )

    def __exit__(self, *failure: object) -> None:
        self._places.leave(self._place)

    def _waits(self) -> bool:
        self._cancelled.raise_if_set()
        return time.monotonic() < self._deadline
