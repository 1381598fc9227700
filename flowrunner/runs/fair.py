"""Places that callers share fairly: whoever asks for many waits behind those who ask for few."""

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
    """A place, or the wish for one. ``what`` says what is done there."""

    __slots__ = ("began", "began_storing", "group", "held", "since", "storing", "used", "what", "woken")

    def __init__(self, group: str, what: str = "") -> None:
        self.group = group
        self.what = what
        self.held = False
        self.storing: str | None = None
        # When it was given; when its thread began to work, and how long that had had the processor by then.
        self.since = self.began = self.used = self.began_storing = 0.0
        # A plain lock, released to wake the one who waits: an Event costs three times as much.
        self.woken: threading.Lock | None = None


class FairPlaces:
    """A number of places. Each that gets free goes to the caller who has the fewest, in turn among equals.

    A caller's own wishes are met in the order in which they came.

    :param number: how many there are.
    :param spare: how many of them one caller alone may not have.
    :param callers: is told who asks; :meth:`crowds` needs it.
    """

    #: Seconds after which whoever waits looks whether it still may, or should.
    look_every: float = 0.25
    #: Places of one caller that are many.
    _MANY: Final = 8

    def __init__(self, number: int, *, spare: int = 0, callers: Callers | None = None) -> None:
        self._number = number
        self._most = number - spare
        self._callers = callers
        self.begin()
        after_fork(self.begin)

    def begin(self) -> None:
        """Begin with all places free, as in a forked process: whoever has one is in its parent."""
        self._free = self._number
        self._lock = threading.Lock()
        self._waiting: dict[str, deque[Place]] = {}
        self._taken: dict[str, int] = {}
        self._held: dict[Place, None] = {}
        # When each caller who has or wants one was served last, in places given.
        self._served: dict[str, int] = {}
        self._given = 0
        if self._callers is not None:
            self._callers.begin()

    def take(self, place: Place, wait: Callable[[], bool] = lambda: True) -> bool:
        """Take a place, waiting for it; say whether there was one.

        :param wait: asked now and then while there is none: whether to wait on. It may raise instead.
        """
        with self._lock:
            news = self._callers is not None and self._callers.note(place.group, time.monotonic())
            # While a place is free, those who wait have as many as they may.
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

    def crowds(self, group: str, within: float | None = None) -> bool:
        """Return whether a caller has many places while others ask for some, too, here or in another process.

        :param within: see :meth:`~flowrunner.runs.callers.Callers.others_ask`.
        """
        if self._taken.get(group, 0) <= self._MANY or self._callers is None:
            return False
        return self._callers.others_ask(group, time.monotonic(), within)

    def gives_way(self) -> bool:
        """Return whether this process works for one caller alone, who crowds: others ask other processes."""
        if self._callers is None or self._number - self._free <= self._MANY:
            return False
        alone = self._callers.alone(time.monotonic())
        return alone is not None and self.crowds(alone)

    @property
    def waiting(self) -> int:
        """How many wait for a place."""
        with self._lock:
            return sum(map(len, self._waiting.values()))

    def look(self) -> None:
        """Called while somebody waits; see :class:`Lent`."""

    def _give_up(self, place: Place) -> bool:
        """Forget a wish; say whether it has been met meanwhile."""
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
        """Take a place back, and hand it to whoever waits."""
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
        """Forget a caller none of whose wishes waits any more."""
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
        """Return how many places a caller may have now."""
        return self._most


_NOTHING_SEEN: Final = (0.0, 0.0)


class Lent(FairPlaces):
    """Places for work; one that is held for too long counts as given back.

    What turns out to wait, rather than to work, takes no place: it is of more use to others.

    :param number: how many there are.
    :param seconds: for how long a place is lent while others wait.
    :param spare: as for all places.
    :param crowds: says of a caller whether one place is all that it may have now.
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
        """Begin with all places free."""
        super().begin()
        # Of each kind of work, the seconds that it took, and those of the processor.
        self._seen: dict[str, tuple[float, float]] = {}
        self._looked = 0.0
        # How many runs of each caller who crowds share transactions, and the least time that the store takes.
        self._storing: dict[str, int] = {}
        self._best = 0.0

    def take(self, place: Place, wait: Callable[[], bool] = lambda: True) -> bool:
        """Take a place, or go without one where it would not be used."""
        got = not self._waits(place.what) and super().take(place, wait)
        place.began, place.used = time.monotonic(), time.thread_time()
        return got

    def leave(self, place: Place) -> None:
        """Give a place back, if it is still held; a second time does nothing."""
        with self._lock:
            self._end_part(place)
            if place.held:
                self._take_back(place)

    def begin_part(self, place: Place) -> None:
        """Note that the thread that calls begins to work."""
        place.began, place.used = time.monotonic(), time.thread_time()

    def begin_storing(self, place: Place) -> None:
        """Note that a caller who crowds stores something: the place is kept, or given back where the store is slow."""
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
        """Note that it is stored; say whether the place was kept."""
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
        """Take back the places that have been held for too long."""
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
        """Let in without a place whoever waits to do the same."""
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
    """The place at which one run works; see :class:`~flowrunner.engine.pausing.WorkingPlace`.

    While it waits for the store its place is somebody else's, so that many runs share a transaction. Only a caller
    who crowds keeps it: what comes into a transaction behind many others is stored as late as they are. Where the store
    is slow anyhow, a few runs of such a caller share a transaction, too.

    :param group: with whom the caller shares.
    :param what: what is run.
    :param goes_on: says whether a place is still to be waited for.
    :param crowds: says whether the caller has many runs in progress while others have had some for so many seconds.
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
        """Take the place, waiting for it."""
        self._places.take(self._place, self._goes_on)
        self._taken_at = time.monotonic()

    def leave(self) -> None:
        """Give the place back, a little later if the caller crowds."""
        try:
            if self._place.held and self._crowds(self._WHILE):
                time.sleep(min(self._REST, time.monotonic() - self._taken_at))
        finally:
            self._places.leave(self._place)

    def begin_storing(self) -> None:
        """Give the place back, or keep it if the caller crowds and the store is fast."""
        if self._crowds(None):
            self._places.begin_storing(self._place)
        else:
            self._places.leave(self._place)

    def end_storing(self, *, last: bool = False) -> None:
        """Take the place again, unless there is nothing more to do, or count from here."""
        kept = self._place.storing is not None and self._places.end_storing(self._place)
        if not kept and not last:
            self.take()
