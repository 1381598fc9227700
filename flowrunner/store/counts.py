"""Count requests against limits in the app's own database, for all processes and hosts that share it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import Connection, Engine, delete, func, insert, select, text, update

from flowrunner.store.engine import go_alone, reading
from flowrunner.store.relaxed_commits import unhurried
from flowrunner.store.tables import counts, places, processes

#: Seconds between removals of expired windows.
_PURGE: Final = 60.0
_PLACES: Final = "flowrunner-places"


class WindowCounts:
    """Counters for the current time window and the one before.

    :param clock: the time in seconds, the same on all hosts that share the database.
    """

    def __init__(self, engine: Engine, *, clock: Callable[[], float] = time.time) -> None:
        self._engine = engine
        self._clock = clock
        self._next_purge = 0.0

    def add(self, name: str, seconds: int, amount: int, most: int | None = None) -> int:
        """Count one hit unless the limit is reached; return the hits of the current window, -1 if not counted.

        :param most: the limit per window; the previous window counts in proportion to its part still in view.
        """
        now = self._clock()
        number = int(now // seconds)
        with unhurried(self._engine) as connection:
            _go_alone(connection, f"count {name}")
            before, present = (self._hits(connection, name, n) for n in (number - 1, number))
            left = 1 - now % seconds / seconds
            if most is not None and before * left + present + amount > most:
                return -1
            if present:
                mine = (counts.c.name == name, counts.c.number == number)
                connection.execute(update(counts).where(*mine).values(hits=present + amount))
            else:
                row = {"name": name, "number": number, "hits": amount, "expires_at": int((number + 2) * seconds) + 1}
                connection.execute(insert(counts).values(**row))
            if now >= self._next_purge:
                self._next_purge = now + _PURGE
                connection.execute(delete(counts).where(counts.c.expires_at < int(now)))
        return present + amount

    def look(self, name: str, seconds: int) -> tuple[int, float, int, float]:
        """Return the hits of the previous window, the seconds that it still counts, and the hits of the current one."""
        now = self._clock()
        number, left = int(now // seconds), seconds - now % seconds
        with reading(self._engine) as connection:
            before, present = (self._hits(connection, name, n) for n in (number - 1, number))
        return before, left, present, left + seconds

    def clear(self, name: str | None = None) -> None:
        """Remove the counters of all names, or of one."""
        with unhurried(self._engine) as connection:
            connection.execute(delete(counts) if name is None else delete(counts).where(counts.c.name == name))

    def _hits(self, connection: Connection, name: str, number: int) -> int:
        statement = select(counts.c.hits).where(counts.c.name == name, counts.c.number == number)
        return int(connection.execute(statement).scalar() or 0)


def _go_alone(connection: Connection, word: str) -> None:
    """Serialize transactions, each seeing what earlier ones have written, at any isolation level."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SET TRANSACTION ISOLATION LEVEL READ COMMITTED"))
    go_alone(connection, word)


class HeldPlaces:
    """The runs that hold a place of a limit. Runs of a dead process no longer count, once it is detected."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def take(self, run_id: str, process: str, wanted: dict[str, int]) -> str | None:
        """Take one place of each name for a run, or none; return the name without a free place, or None.

        A run that already holds places keeps them.

        :param wanted: the number of places, by name.
        """
        with unhurried(self._engine) as connection:
            _go_alone(connection, _PLACES)
            if connection.execute(select(places.c.run_id).where(places.c.run_id == run_id).limit(1)).first():
                return None
            alive = select(processes.c.id)
            for name, most in wanted.items():
                theirs = select(func.count()).select_from(places)
                theirs = theirs.where(places.c.name == name, places.c.process.in_(alive))
                if connection.execute(theirs).scalar_one() >= most:
                    return name
            rows: list[dict[str, Any]] = [{"name": n, "run_id": run_id, "process": process} for n in wanted]
            connection.execute(insert(places), rows)
        return None

    def give_back(self, run_ids: list[str]) -> None:
        """Release the places of runs."""
        with unhurried(self._engine) as connection:
            connection.execute(delete(places).where(places.c.run_id.in_(run_ids)))
