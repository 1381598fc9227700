"""Places shared fairly among callers: a caller with many requests waits behind those with few."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from flowrunner.memory.forks import after_fork
from flowrunner.runs.callers import Callers

KEEPS: Final = "keeps its place"
SHARES: Final = "shares a transaction"


class Place:
    """A place, or a request for one. ``what`` names the kind of work done there."""

    __slots__ = ("began", "began_storing", "group", "held", "since", "storing", "used", "what", "woken")

    def __init__(self, group: str, what: str = "") -> None:
        self.group = group
        self.what = what
        self.held = False
        self.storing: str | None = None
        # When the place was given; when its thread began to work, and the processor time of the thread then.
        self.since = self.began = self.used = self.began_storing = 0.0
        # A plain lock, released to wake the waiting thread: an Event costs three times as much.
        self.woken: threading.Lock | None = None


class FairPlaces:
    """A number of places. A free place goes to the caller who has the fewest, in turn among equals.

    The requests of one caller are served in order of arrival.

    :param number: the number of places.
    :param spare: the number of places that a single caller may not take.
    :param callers: records who asks; needed by :meth:`crowds`.
    """

    #: Seconds between checks of a waiting thread whether it should continue to wait.
    look_every: float = 0.25
    #: The number of places from which a caller has many.
    _MANY: Final = 8

    def __init__(self, number: int, *, spare: int = 0, callers: Callers | None = None) -> None:
        self._number = number
        self._most = number - spare
        self._callers = callers
        self.begin()
        after_fork(self.begin)

    def begin(self) -> None:
        """Start with all places free, as in a forked process: their holders are in the parent."""
        self._free = self._number
        self._lock = threading.Lock()
        self._waiting: dict[str, deque[Place]] = {}
        self._taken: dict[str, int] = {}
        self._held: dict[Place, None] = {}
        # For each caller with a place or a request: when it was served last, counted in places given.
        self._served: dict[str, int] = {}
        self._given = 0
        if self._callers is not None:
            self._callers.begin()

    def take(self, place: Place, wait: Callable[[], bool] = lambda: True) -> bool:
        """Take a place, waiting until one is free; return whether it was taken.

        :param wait: called regularly while waiting; returns whether to continue, or raises an exception.
        """
        with self._lock:
            news = self._callers is not None and self._callers.note(place.group, time.monotonic())
            # If a place is free, all waiting callers have reached their maximum.
            got = self._free > 0 and self._taken.get(place.group, 0) < self._most_of(place.group)
            if got:
                self._give(place)
            else:
                place.woken = threading.Lock()
                place.woken.acquire()
                self._waiting.setdefault(place.group, deque()).append(place)
        if news and self._callers is not None:
            self._callers.tell()
        return got or self._wait(place, wait)

    def _wait(self, place: Place, wait: Callable[[], bool]) -> bool:
        woken = place.woken
        assert woken is not None
        try:
            while not woken.acquire(timeout=self.look_every):
                self.look()
                if not wait():
                    return self._give_up(place)
        except BaseException:
            # The place may have been given meanwhile, without the requester noticing.
            self._give_up(place)
            self.leave(place)
            raise
        return True

    def leave(self, place: Place) -> None:
        """Release a place, if it is still held."""
        with self._lock:
            if place.held:
                self._take_back(place)

    def crowds(self, group: str, within: float | None = None) -> bool:
        """Return whether a caller has many places while other callers ask for places, in this or another process.

        :param within: see :meth:`~flowrunner.runs.callers.Callers.others_ask`.
        """
        if self._taken.get(group, 0) <= self._MANY or self._callers is None:
            return False
        return self._callers.others_ask(group, time.monotonic(), within)

    def gives_way(self) -> bool:
        """Return whether this process works only for a crowding caller, while others use other processes."""
        if self._callers is None or self._number - self._free <= self._MANY:
            return False
        alone = self._callers.alone(time.monotonic())
        return alone is not None and self.crowds(alone)

    @property
    def waiting(self) -> int:
        """The number of threads waiting for a place."""
        with self._lock:
            return sum(map(len, self._waiting.values()))

    def look(self) -> None:
        """Called while a thread waits; see :class:`Lent`."""

    def _give_up(self, place: Place) -> bool:
        """Withdraw a request; return whether it was served meanwhile."""
        with self._lock:
            if place.held:
                return True
            queue = self._waiting.get(place.group)
            if queue is not None and place in queue:
                queue.remove(place)
                if not queue:
                    self._forget_waiting(place.group)
            return False

    def _give(self, place: Place) -> None:
        group = place.group
        self._free -= 1
        self._taken[group] = self._taken.get(group, 0) + 1
        self._given += 1
        self._served[group] = self._given
        self._held[place] = None
        place.held, place.since = True, time.monotonic()

    def _take_back(self, place: Place) -> None:
        """Revoke a place, and give it to a waiting thread."""
        group = place.group
        place.held = False
        del self._held[place]
        self._free += 1
        left = self._taken[group] - 1
        if left:
            self._taken[group] = left
        else:
            del self._taken[group]
            if group not in self._waiting:
                self._served.pop(group, None)
        if self._waiting:
            self._hand_out()

    def _forget_waiting(self, group: str) -> None:
        """Forget a caller without waiting requests."""
        del self._waiting[group]
        if group not in self._taken:
            self._served.pop(group, None)

    def _hand_out(self) -> None:
        while self._free > 0 and self._waiting:
            may = [name for name in self._waiting if self._taken.get(name, 0) < self._most_of(name)]
            if not may:
                return
            group = min(may, key=lambda name: (self._taken.get(name, 0), self._served.get(name, 0)))
            queue = self._waiting[group]
            place = queue.popleft()
            if not queue:
                del self._waiting[group]
            self._give(place)
            assert place.woken is not None
            place.woken.release()

    def _most_of(self, group: str) -> int:
        """Return the number of places that a caller may have now."""
        return self._most


_NOTHING_SEEN: Final = (0.0, 0.0)


class Lent(FairPlaces):
    """Places for work. A place that is held for too long counts as released.

    Work that turns out to wait rather than to use the processor takes no place.

    :param number: the number of places.
    :param seconds: how long a place is lent while others wait.
    :param spare: as for :class:`FairPlaces`.
    :param crowds: returns whether a caller may have only one place now.
    """

    look_every = 0.1
    #: What has the processor for less than that part of its time waits for something, once so many seconds are known.
    _PART: Final = 100
    _ENOUGH: Final = 0.1
    #: Seconds after which what was seen before counts half, and of how many kinds of work something is known.
    _HALF: Final = 1.0
    _MOST_KINDS: Final = 1000
    #: A store is slow that takes so many seconds even at its best; there, so many runs of a caller who crowds share
    #: transactions, for one alone would wait for the disk each time.
    _SLOW: Final = 0.01
    _MOST_STORING: Final = 4

    def __init__(
        self, number: int, seconds: float, *, spare: int = 0, crowds: Callable[[str], bool] = lambda group: False
    ) -> None:
        self._seconds = seconds
        self._crowds = crowds
        super().__init__(number, spare=spare)

    def begin(self) -> None:
        """Start with all places free."""
        super().begin()
        # Of each kind of work, the seconds that it took, and those of the processor.
        self._seen: dict[str, tuple[float, float]] = {}
        self._looked = 0.0
        # How many runs of each caller who crowds share transactions, and the least time that the store takes.
        self._storing: dict[str, int] = {}
        self._best = 0.0

    def take(self, place: Place, wait: Callable[[], bool] = lambda: True) -> bool:
        """Take a place, or none if it would not be used."""
        got = not self._waits(place.what) and super().take(place, wait)
        place.began, place.used = time.monotonic(), time.thread_time()
        return got

    def leave(self, place: Place) -> None:
        """Release a place, if it is still held; a second call does nothing."""
        with self._lock:
            self._end_part(place)
            if place.held:
                self._take_back(place)

    def begin_part(self, place: Place) -> None:
        """Record that the calling thread begins to work."""
        place.began, place.used = time.monotonic(), time.thread_time()

    def begin_storing(self, place: Place) -> None:
        """Begin storing for a crowding caller: the place is kept, or released if the store is slow."""
        with self._lock:
            self._end_part(place)
            place.began_storing = time.monotonic()
            number = self._storing.get(place.group, 0)
            if self._best < self._SLOW or number >= self._MOST_STORING:
                place.storing = KEEPS
                return
            place.storing = SHARES
            self._storing[place.group] = number + 1
            if place.held:
                self._take_back(place)

    def end_storing(self, place: Place) -> bool:
        """End storing; return whether the place was kept."""
        kept, place.storing = place.storing is KEEPS, None
        now = time.monotonic()
        took = now - place.began_storing
        with self._lock:
            # The best of late: whoever waits for others, too, takes longer.
            self._best = min(self._best * 1.05, took) if self._best else took
            if kept:
                place.since = now
                self.begin_part(place)
                return True
            left = self._storing[place.group] - 1
            if left:
                self._storing[place.group] = left
            else:
                del self._storing[place.group]
        return False

    def look(self) -> None:
        """Revoke places that have been held for too long."""
        now = time.monotonic()
        if now - self._looked < self.look_every / 2:
            return
        with self._lock:
            self._looked = now
            for place in [place for place in self._held if now - place.since > self._seconds]:
                self._take_back(place)
            # Who crowded may have more by now.
            self._hand_out()

    def _most_of(self, group: str) -> int:
        return 1 if self._crowds(group) else self._most

    def _waits(self, what: str) -> bool:
        taken, used = self._seen.get(what, _NOTHING_SEEN)
        return taken > self._ENOUGH and used * self._PART < taken

    def _end_part(self, place: Place) -> None:
        if not place.began:
            return
        taken, used = self._seen.get(place.what, _NOTHING_SEEN)
        share = 1.0 if taken < self._HALF else 0.5
        taken = taken * share + time.monotonic() - place.began
        used = used * share + time.thread_time() - place.used
        place.began = 0.0
        if len(self._seen) >= self._MOST_KINDS:
            self._seen.clear()
        self._seen[place.what] = (taken, used)
        if self._waiting and self._waits(place.what):
            self._let_in(place.what)

    def _let_in(self, what: str) -> None:
        """Admit waiting threads with the same kind of work, without a place."""
        for group, queue in list(self._waiting.items()):
            left: deque[Place] = deque()
            for place in queue:
                if place.what == what and place.woken is not None:
                    place.woken.release()
                else:
                    left.append(place)
            if left:
                self._waiting[group] = left
            else:
                self._forget_waiting(group)


class Work:
    """The place of one run; see :class:`~flowrunner.engine.pausing.WorkingPlace`.

    While a run waits for the store, another one uses its place, so that many runs share a transaction. A crowding
    caller keeps the place instead: otherwise its many runs would delay the transaction of others. If the store is
    slow, a few runs of such a caller share a transaction as well.

    :param group: the group with which the caller shares places.
    :param what: the flow that is run.
    :param goes_on: returns whether to continue to wait for a place.
    :param crowds: returns whether the caller has many runs in progress while others were active within some seconds.
    """

    #: A run of a caller who crowds keeps its place idle for as long as it worked there, and so many seconds at most,
    #: while others have asked within as many as follow: the machine is theirs meanwhile.
    _REST: Final = 0.01
    _WHILE: Final = 0.5
    __slots__ = ("_crowds", "_goes_on", "_place", "_places", "_taken_at")

    def __init__(
        self, places: Lent, group: str, what: str, goes_on: Callable[[], bool], crowds: Callable[[float | None], bool]
    ) -> None:
        self._places = places
        self._place = Place(group, what)
        self._goes_on = goes_on
        self._crowds = crowds

    def take(self) -> None:
        """Take the place, waiting until it is free."""
        self._places.take(self._place, self._goes_on)
        self._taken_at = time.monotonic()

    def leave(self) -> None:
        """Release the place, a little later if the caller crowds."""
        try:
            if self._place.held and self._crowds(self._WHILE):
                time.sleep(min(self._REST, time.monotonic() - self._taken_at))
        finally:
            self._places.leave(self._place)

    def begin_storing(self) -> None:
        """Release the place, or keep it if the caller crowds and the store is fast."""
        if self._crowds(None):
            self._places.begin_storing(self._place)
        else:
            self._places.leave(self._place)

    def end_storing(self, *, last: bool = False) -> None:
        """Take the place again, unless nothing follows, and restart the count of its time."""
        kept = self._place.storing is not None and self._places.end_storing(self._place)
        if not kept and not last:
            self.take()
