"""Rate limits for runs, with the library ``limits`` (extra ``[limits]``)."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from flowrunner.errors import FlowRunnerError, SettingsInvalid, StoreFailed, TooMany, is_interrupt
from flowrunner.store.counts import WindowCounts
from flowrunner.text.digests import digest_of

if TYPE_CHECKING:
    from limits import RateLimitItem
    from sqlalchemy import Engine

#: A limit: its setting, its value, and the subject that it counts.
Subject = tuple[str, str, str]


class Rates:
    """The rate limits of one runner.

    :param rates: the values of the settings, by name.
    :param place: ``database``, ``memory``, or the URL of a Redis server.
    :param prefix: the prefix of the names of settings.
    :raises SettingsInvalid: if the store of the counters cannot be used.
    """

    def __init__(self, rates: Mapping[str, Sequence[str]], place: str, engine: Engine, prefix: str) -> None:
        import limits
        from limits.strategies import SlidingWindowCounterRateLimiter

        self._prefix = prefix
        self._items: dict[str, list[RateLimitItem]] = {
            name: limits.parse_many(";".join(said)) for name, said in rates.items() if said
        }
        self._counter = SlidingWindowCounterRateLimiter(_storage(place, engine, prefix))

    def names(self) -> frozenset[str]:
        """Return the names of the settings with a limit."""
        return frozenset(self._items)

    def hit(self, subjects: Sequence[Subject]) -> None:
        """Count a request against all its limits, or against none if one of them is reached.

        :raises TooMany: if a limit is reached, naming it and when to try again.
        :raises StoreFailed: if the counters are not available.
        """
        wanted = [
            (setting, who, item, digest_of(setting, what))
            for setting, who, what in subjects
            for item in self._items.get(setting, ())
        ]
        try:
            if len(wanted) > 1:
                for one in wanted:
                    if not self._counter.test(one[2], one[3]):
                        raise self._refusal(*one)
            for one in wanted:
                if not self._counter.hit(one[2], one[3]):
                    raise self._refusal(*one)
        except FlowRunnerError:
            raise
        except BaseException as error:
            if is_interrupt(error):
                raise
            raise StoreFailed("The server cannot count requests now, so the run was not started; try again.") from error

    def _refusal(self, setting: str, who: str, item: RateLimitItem, name: str) -> TooMany:
        stats = self._counter.get_window_stats(item, name)
        wait = max(1, math.ceil(stats.reset_time - time.time()))
        often = f"{_number_of(item.amount, 'run')} in {_number_of(item.multiples, item.GRANULARITY.name)}"
        said = f"{who} may start {often} ({self._prefix}{setting}): try again in {_number_of(wait, 'second')}."
        return TooMany(said, retry_after=wait)


def _number_of(number: int, word: str) -> str:
    return f"{number} {word}{'s' * (number != 1)}"


def _storage(place: str, engine: Engine, prefix: str) -> Any:
    from limits.storage import MemoryStorage, storage_from_string

    if place == "database":
        return _database_storage()(engine)
    if place == "memory":
        return MemoryStorage()
    name = f"{prefix}LIMITS_STORE"
    try:
        storage: Any = storage_from_string(place, socket_connect_timeout=5, socket_timeout=5)
        reached = storage.check()
    except Exception as error:
        # The URL may contain a password, so neither it nor the driver's message is shown.
        raise SettingsInvalid(f"{name} cannot be used: {type(error).__name__}.") from error
    if not reached:
        raise SettingsInvalid(f"{name} names a Redis server that does not answer.")
    return storage


def _database_storage() -> Any:
    """Return the class of storages in the app's own database, created on first use, since the library is an extra."""
    if not _classes:
        from limits.storage import SlidingWindowCounterSupport, Storage
        from sqlalchemy.exc import SQLAlchemyError

        class DatabaseStorage(Storage, SlidingWindowCounterSupport):
            """Counts in the app's own database."""

            STORAGE_SCHEME = None
            base_exceptions = SQLAlchemyError

            def __init__(self, engine: Engine) -> None:
                super().__init__()
                self._counts = WindowCounts(engine)

            def acquire_sliding_window_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
                return self._counts.add(digest_of(key), expiry, amount, limit) >= 0

            def get_sliding_window(self, key: str, expiry: int) -> tuple[int, float, int, float]:
                return self._counts.look(digest_of(key), expiry)

            def clear_sliding_window(self, key: str, expiry: int) -> None:
                self._counts.clear(digest_of(key))

            def incr(self, key: str, expiry: int, amount: int = 1) -> int:
                return self._counts.add(digest_of(key, str(expiry)), expiry, amount)

            def get(self, key: str) -> int:
                raise NotImplementedError("only sliding windows are counted in the database")

            def get_expiry(self, key: str) -> float:
                raise NotImplementedError("only sliding windows are counted in the database")

            def check(self) -> bool:
                self._counts.look("", 60)
                return True

            def reset(self) -> int | None:
                self._counts.clear()
                return None

            def clear(self, key: str) -> None:
                self._counts.clear(digest_of(key))

        _classes.append(DatabaseStorage)
    return _classes[0]


_classes: list[Any] = []
