"""A run's place among the concurrent runs of a process, released while the run waits so that another can use it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

_here = threading.local()


class WorkingPlace(Protocol):
    """The place of one run, taken and released on the run's thread."""

    def take(self) -> None:
        """Take the place, waiting until one is free."""

    def leave(self) -> None:
        """Release the place; does nothing if it was released already."""

    def begin_storing(self) -> None:
        """Note that the run now waits for the store."""

    def end_storing(self, *, last: bool) -> None:
        """Note that storing has ended; ``last`` means that the run has nothing more to do."""


# A class, since every run enters it: a generator-based context manager costs twice the calls.


class working:
    """Hold a place on this thread except during pauses; runs that this run starts on the thread share it."""

    __slots__ = ("_place",)

    def __init__(self, place: WorkingPlace | None) -> None:
        self._place = place

    def __enter__(self) -> None:
        if self._place is None or getattr(_here, "place", None) is not None:
            self._place = None
        else:
            self._place.take()
            _here.place = self._place

    def __exit__(self, *failure: object) -> None:
        if self._place is not None:
            _here.place = None
            self._place.leave()


@contextmanager
def pausing() -> Iterator[None]:
    """Release the place of this thread while it waits for something."""
    place: WorkingPlace | None = getattr(_here, "place", None)
    if place is None:
        yield
        return
    place.leave()
    try:
        yield
    finally:
        place.take()


class storing:
    """Store something; the place of this thread decides whether it is released meanwhile.

    :param last: nothing follows, so a released place is not taken again.
    """

    __slots__ = ("_last", "_place")

    def __init__(self, *, last: bool = False) -> None:
        self._last = last
        self._place: WorkingPlace | None = getattr(_here, "place", None)

    def __enter__(self) -> None:
        if self._place is not None:
            self._place.begin_storing()

    def __exit__(self, *failure: object) -> None:
        if self._place is not None:
            self._place.end_storing(last=self._last)
