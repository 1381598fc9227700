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

    def end_storing(self) -> None:
        """Note that it has stored what it had to."""


@contextmanager
def working(place: WorkingPlace | None) -> Iterator[None]:
    """Hold a place on this thread, but for its pauses; a run that this run starts here shares it."""
    if place is None or getattr(_here, "place", None) is not None:
        yield
        return
    place.take()
    _here.place = place
    try:
        yield
    finally:
        _here.place = None
        place.leave()


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


@contextmanager
def storing() -> Iterator[None]:
    """Store something: the place of this thread is kept or given back meanwhile, as is best for all."""
    place: WorkingPlace | None = getattr(_here, "place", None)
    if place is None:
        yield
        return
    place.begin_storing()
    try:
        yield
    finally:
        place.end_storing()
