"""Limits per caller: concurrent runs, uploads of anonymous callers, wrong API keys.

A nameless visitor gets a new identity with each cookie, so visitors share with all others from their
address. What is counted here is counted in one process.
"""

from __future__ import annotations

import math
import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Final

from flowrunner.errors import TooMany
from flowrunner.identity import VISITOR, Identity
from flowrunner.memory.forks import after_fork

_HOUR: Final = 3600.0
_MINUTE: Final = 60.0
_UNBOUNDED: Final = nullcontext()
_MOST_ADDRESSES: Final = 10_000


def group_of(identity: Identity) -> str:
    """Return with whom a caller shares: nobody, or all visitors from their address."""
    return f"{VISITOR}{identity.address}" if identity.nameless else identity.id


class Places:
    """The places for runs that each caller has.

    :param each: runs at a time of one caller, where a setting says so.
    :param known_to_site: the same for those whom a site has named, where no setting says more.
    """

    def __init__(self, each: int | None, known_to_site: int) -> None:
        self._each = each
        self._known_to_site = known_to_site
        self.start_in_child()
        after_fork(self.start_in_child)

    def start_in_child(self) -> None:
        """Begin with all places free, as in a forked process: those that are taken are its parent's."""
        self._taken: Counter[str] = Counter()
        self._lock = threading.Lock()

    def of(self, identity: Identity) -> AbstractContextManager[None]:
        """Take a place for the length of a run, when the block begins.

        :raises TooMany: if all places of the caller are taken; nobody waits for one, since that would take a thread.
        """
        most = self._each or (None if identity.offers is None else self._known_to_site)
        return _UNBOUNDED if most is None else self._hold(group_of(identity), most)

    @contextmanager
    def _hold(self, group: str, most: int) -> Iterator[None]:
        with self._lock:
            if self._taken[group] >= most:
                raise TooMany(
                    f"You are at your limit of {most} concurrent runs (FLOWRUNNER_MAX_RUNS_PER_USER); try again."
                )
            self._taken[group] += 1
        try:
            yield
        finally:
            with self._lock:
                self._taken[group] -= 1
                if not self._taken[group]:
                    del self._taken[group]


class Uploads:
    """What visitors from one address have uploaded in the last hour.

    :param number: files.
    :param size: bytes.
    """

    def __init__(self, number: int, size: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._number = number
        self._size = size
        self._clock = clock
        self._recent: dict[str, deque[tuple[float, int]]] = {}
        self.start_in_child()
        after_fork(self.start_in_child)

    def start_in_child(self) -> None:
        """Take a lock that nobody holds, in a forked process."""
        self._lock = threading.Lock()

    def note(self, identity: Identity, size: int) -> None:
        """Count a file of a visitor; those whom somebody knows are not counted here.

        :raises TooMany: if it is one too many for this hour.
        """
        if not identity.nameless:
            return
        now = self._clock()
        with self._lock:
            if len(self._recent) >= _MOST_ADDRESSES:
                self._forget(now)
            recent = self._recent.setdefault(identity.address, deque())
            while recent and now - recent[0][0] > _HOUR:
                recent.popleft()
            if len(recent) >= self._number or sum(s for _, s in recent) + size > self._size:
                raise TooMany("The upload limit per hour for visitors from your address is reached; try later.")
            recent.append((now, size))

    def _forget(self, now: float) -> None:
        """Drop the addresses that have sent nothing for an hour, and where that frees no place, all."""
        kept = {address: sent for address, sent in self._recent.items() if sent and now - sent[-1][0] <= _HOUR}
        self._recent = kept if len(kept) < _MOST_ADDRESSES else {}


class WrongKeys:
    """How many wrong API keys each address has sent of late.

    An address may send a minute's worth at once; after that, one for each of the parts into which they divide
    a minute. Only the addresses of late are kept, and those no more than ten thousand: over that, whoever has
    been quiet for longest is forgotten.

    :param each: wrong keys of one address in a minute; 0 counts none.
    """

    def __init__(self, each: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._part = _MINUTE / each if each else 0.0
        self._clock = clock
        # When each address has paid for what it sent: a moment for a wrong key, and no list of them.
        self._paid_at: OrderedDict[str, float] = OrderedDict()
        self.start_in_child()
        after_fork(self.start_in_child)

    def start_in_child(self) -> None:
        """Take a lock that nobody holds, in a forked process."""
        self._lock = threading.Lock()

    def __bool__(self) -> bool:
        return bool(self._paid_at)

    def wait(self, address: str) -> int:
        """Return how many seconds pass until another wrong key of this address is looked up; 0 for none."""
        paid_at = self._paid_at.get(address)
        if paid_at is None:
            return 0
        return max(0, math.ceil(paid_at + self._part - _MINUTE - self._clock()))

    def note(self, address: str) -> None:
        """Count a wrong key."""
        if not self._part:
            return
        now = self._clock()
        with self._lock:
            self._paid_at[address] = max(self._paid_at.get(address, now), now) + self._part
            self._paid_at.move_to_end(address)
            # Whoever is quiet has paid within a minute, so few steps keep the list as long as it must be.
            for _ in range(2):
                first = next(iter(self._paid_at))
                if self._paid_at[first] > now and len(self._paid_at) <= _MOST_ADDRESSES:
                    break
                del self._paid_at[first]
