"""Places that callers share fairly: whoever asks for many waits behind those who ask for few."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from typing import Final


class Place:
    """A place, or the wish for one. ``what`` says what is done there, for those who do not do it at once."""

    __slots__ = ("clock", "group", "held", "since", "storing", "used", "what", "woken")

    def __init__(self, group: str, what: str = "") -> None:
        self.group = group
        self.what = what
        self.held = self.storing = False
        # When it was given, how long its thread had had the processor by then, and the clock that tells.
        self.since = self.used = 0.0
        self.clock: int | None = None
        # A plain lock, released to wake the one who waits: an Event costs three times as much.
        self.woken: threading.Lock | None = None


class FairPlaces:
    """A number of places. Each that gets free goes to the caller who has the fewest, in turn among equals.

    A caller's own wishes are met in the order in which they came.

    :param number: how many there are.
    :param spare: how many of them one caller alone may not have.
    """

    #: Seconds after which whoever waits looks whether it still may, or should.
    look_every: float = 0.25
    #: Places of one caller that are many.
    _MANY: Final = 8
    #: Seconds after which a caller who asks no more counts as gone.
    _RECENT: Final = 2.0

    def __init__(self, number: int, *, spare: int = 0) -> None:
        self._number = number
        self._most = number - spare
        self.begin()
        _begin_after_fork(self)

    def begin(self) -> None:
        """Begin with all places free, as in a forked process: whoever has one is in its parent."""
        self._free = self._number
        self._lock = threading.Lock()
        self._waiting: dict[str, deque[Place]] = {}
        self._taken: Counter[str] = Counter()
        # When each caller who has or wants one was served last, in places given.
        self._served: dict[str, int] = {}
        self._given = 0
        #: When each caller asked last, the latest at the end.
        self._asked: OrderedDict[str, float] = OrderedDict()

    def take(self, place: Place, wait: Callable[[], bool] = lambda: True) -> bool:
        """Take a place, waiting for it; say whether there was one.

        :param wait: asked now and then while there is none: whether to wait on. It may raise instead.
        """
        with self._lock:
            self._note(place.group)
            # While a place is free, those who wait have as many as they may.
            if self._free > 0 and self._taken[place.group] < self._most:
                self._give(place)
                return True
            woken = place.woken = threading.Lock()
            woken.acquire()
            self._waiting.setdefault(place.group, deque()).append(place)
        try:
            while not woken.acquire(timeout=self.look_every):
                self.look()
                if not wait():
                    return self._give_up(place)
        except BaseException:
            # It may have been given meanwhile, and who asked for it never hears of that.
            self._give_up(place)
            self.leave(place)
            raise
        return True

    def leave(self, place: Place) -> None:
        """Give a place back, if it is still held."""
        with self._lock:
            if place.held:
                self._take_back(place)
                self._hand_out()

    def crowds(self, group: str) -> bool:
        """Say whether a caller has many places while others ask for some, too."""
        if self._taken[group] <= self._MANY:
            return False
        with self._lock:
            others = next(((other, at) for other, at in reversed(self._asked.items()) if other != group), None)
        return others is not None and time.monotonic() - others[1] < self._RECENT

    @property
    def waiting(self) -> int:
        """How many wait for a place."""
        with self._lock:
            return sum(map(len, self._waiting.values()))

    def look(self) -> None:
        """Called while somebody waits; see :class:`Lent`."""

    def _note(self, group: str) -> None:
        now = time.monotonic()
        self._asked[group] = now
        self._asked.move_to_end(group)
        oldest = next(iter(self._asked))
        if now - self._asked[oldest] > self._RECENT:
            del self._asked[oldest]

    def _give_up(self, place: Place) -> bool:
        """Forget a wish; say whether it has been met meanwhile."""
        with self._lock:
            if place.held:
                return True
            queue = self._waiting.get(place.group)
            if queue is not None and place in queue:
                queue.remove(place)
                if not queue:
                    del self._waiting[place.group]
                    self._forget(place.group)
            return False

    def _give(self, place: Place) -> None:
        self._free -= 1
        self._taken[place.group] += 1
        self._given += 1
        self._served[place.group] = self._given
        place.held = True

    def _take_back(self, place: Place) -> None:
        place.held = False
        self._free += 1
        self._taken[place.group] -= 1
        if not self._taken[place.group]:
            del self._taken[place.group]
            self._forget(place.group)

    def _forget(self, group: str) -> None:
        if group not in self._taken and group not in self._waiting:
            self._served.pop(group, None)

    def _hand_out(self) -> None:
        while self._free > 0 and self._waiting:
            group = min(self._waiting, key=lambda name: (self._taken[name], self._served.get(name, 0)))
            if self._taken[group] >= self._most:
                return
            queue = self._waiting[group]
            place = queue.popleft()
            if not queue:
                del self._waiting[group]
            self._give(place)
            assert place.woken is not None
            place.woken.release()


#: Returns the clock of a thread's time at the processor; not every system has one that other threads can read.
_clock_of: Callable[[int], int] | None = getattr(time, "pthread_getcpuclockid", None)


class Lent(FairPlaces):
    """Places for work; one that is held for too long counts as given back, and so does one that is not used.

    What turns out to wait, rather than to work, takes no place for a while: its place is of more use to others.

    :param number: how many there are.
    :param seconds: for how long a place is lent while others wait.
    :param spare: as for all places.
    """

    look_every = 0.1
    #: Whoever has a place for so many seconds, and of the processor less than that part of them, waits for something.
    _LONG: Final = 0.1
    _PART: Final = 100
    #: Seconds for which what was found to wait is let in without a place.
    _KNOWN: Final = 60.0
    _MOST_KNOWN: Final = 1000

    def __init__(self, number: int, seconds: float, *, spare: int = 0) -> None:
        self._seconds = seconds
        super().__init__(number, spare=spare)

    def begin(self) -> None:
        """Begin with all places free."""
        super().begin()
        self._held: dict[Place, None] = {}
        self._idle: dict[str, float] = {}
        self._looked = 0.0

    def take(self, place: Place, wait: Callable[[], bool] = lambda: True) -> bool:
        """Take a place, or go without one where it would not be used."""
        if self._idle and self._idle.get(place.what, 0.0) > time.monotonic():
            return False
        place.used = time.thread_time()
        # Asked of a thread that has ended, this is undefined; what it returns is safe to ask then.
        place.clock = None if _clock_of is None else _clock_of(threading.get_ident())
        return super().take(place, wait)

    def leave(self, place: Place) -> None:
        """Give a place back, if it is still held."""
        now = time.monotonic()
        with self._lock:
            if not place.held:
                return
            if now - place.since > self._LONG and self._is_idle(place, now):
                self._let_in(place.what, now)
            self._take_back(place)
            self._hand_out()

    def look(self) -> None:
        """Take back the places that have been held for too long, or are not used."""
        now = time.monotonic()
        if now - self._looked < self.look_every / 2:
            return
        with self._lock:
            self._looked = now
            idle = [p for p in self._held if now - p.since > self._LONG and self._is_idle(p, now)]
            late = [p for p in self._held if now - p.since > self._seconds and p not in idle]
            for place in (*idle, *late):
                self._take_back(place)
            for place in idle:
                self._let_in(place.what, now)
            self._hand_out()

    def _is_idle(self, place: Place, now: float) -> bool:
        """Say whether its holder waits for something; for the store it waits so that others are let in between."""
        if place.storing or place.clock is None:
            return False
        try:
            used = time.clock_gettime(place.clock) - place.used
        except OSError:
            # Its thread has ended.
            return True
        return used * self._PART < now - place.since

    def _let_in(self, what: str, now: float) -> None:
        """Let in without a place whoever does the same, for a while."""
        if len(self._idle) >= self._MOST_KNOWN:
            self._idle.clear()
        self._idle[what] = now + self._KNOWN
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
                del self._waiting[group]
                self._forget(group)

    def _give(self, place: Place) -> None:
        super()._give(place)
        place.since = time.monotonic()
        self._held[place] = None

    def _take_back(self, place: Place) -> None:
        super()._take_back(place)
        del self._held[place]


def _begin_after_fork(places: FairPlaces) -> None:
    reference = weakref.ref(places)

    def begin() -> None:
        found = reference()
        if found is not None:
            found.begin()

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=begin)


class Work:
    """The place at which one run works; see :class:`~flowrunner.engine.pausing.WorkingPlace`.

    While it waits for the store its place is somebody else's, so that many runs share a transaction. Only a caller
    who crowds keeps it: what comes into a transaction behind many others is stored as late as they are.

    :param group: with whom the caller shares.
    :param what: what is run.
    :param goes_on: says whether a place is still to be waited for.
    :param crowds: says whether the caller has many runs under way while others have some.
    """

    __slots__ = ("_crowds", "_goes_on", "_place", "_places")

    def __init__(
        self, places: Lent, group: str, what: str, goes_on: Callable[[], bool], crowds: Callable[[], bool]
    ) -> None:
        self._places = places
        self._place = Place(group, what)
        self._goes_on = goes_on
        self._crowds = crowds

    def take(self) -> None:
        """Take the place, waiting for it."""
        self._places.take(self._place, self._goes_on)

    def leave(self) -> None:
        """Give the place back."""
        self._places.leave(self._place)

    def begin_storing(self) -> None:
        """Give the place back, or keep it if the caller crowds."""
        if self._crowds():
            self._place.storing = True
        else:
            self.leave()

    def end_storing(self) -> None:
        """Take the place again, or count from here."""
        if self._place.storing:
            self._place.storing = False
            self._place.since, self._place.used = time.monotonic(), time.thread_time()
        else:
            self.take()
