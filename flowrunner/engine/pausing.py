"""The place at which a run works: given back while it waits for something, so that another one may work."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

_here = threading.local()


class WorkingPlace(Protocol):
    """A place of one run, taken and left on the thread of the run."""

    def take(self) -> None:
        """Take it, waiting for it."""

    def leave(self) -> None:
        """Give it back; a second time does nothing."""

    def begin_storing(self) -> None:
        """Note that what it waits for now is the store."""

    def end_storing(self, *, last: bool) -> None:
        """Note that it has stored what it had to; ``last`` says that there is nothing more to do."""


# What every run enters is a class: a generator in its place costs twice the calls.


class working:
    """Hold a place on this thread, but for its pauses; a run that this run starts here shares it."""

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
    """Give the place of this thread back while something is waited for."""
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
    """Store something: the place of this thread is kept or given back meanwhile, as is best for all.

    :param last: nothing is left to do afterwards, so that a place that was given back is not taken again.
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
