"""The ledger of runs: accepted runs, the process that executes each, and their outcome."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Connection, Engine, Row, case, exists, func, insert, select, text, update

from flowrunner.memory import EVERY_OWNER, Owner
from flowrunner.memory.message import utc_now
from flowrunner.store.engine import go_alone, reading, writing
from flowrunner.store.relaxed_commits import unhurried
from flowrunner.store.shared_commits import Statement
from flowrunner.store.tables import places, processes, runs
from flowrunner.text.json_text import json_text
from flowrunner.text.timestamps import moment_text

QUEUED: Final = "queued"
RUNNING: Final = "running"
SUCCESS: Final = "success"
ERROR: Final = "error"
CANCELLED: Final = "cancelled"
LOST: Final = "lost"
#: All states of a run: the first two are open, the others final.
RUN_STATES: Final = (QUEUED, RUNNING, SUCCESS, ERROR, CANCELLED, LOST)

#: The most times that a run which may be repeated is started.
MOST_BEGINNINGS: Final = 3
#: The maximum difference between the clocks of hosts that share a database.
_CLOCKS_APART: Final = timedelta(minutes=10)

_COLUMNS: Final = (
    "id",
    "owner",
    "flow_id",
    "session_id",
    "status",
    "kind",
    "process",
    "accepted_at",
    "started_at",
    "ended_at",
)
_SWEEP: Final = "flowrunner-sweep"

# What each process does by itself, again and again, is written out, here and in the tables beside: one that never lets
# SQLAlchemy build and compile a statement shares 2 MB more with the master that it is forked from.
_REGISTER: Final = text(
    "INSERT INTO flowrunner_processes (id, place, host, pid, beat, started_at)"
    " VALUES (:id, :place, :host, :pid, 0, :started_at)"
)
_BEAT: Final = text("UPDATE flowrunner_processes SET beat = beat + 1 WHERE id = :process")
_ASKED_TO_STOP: Final = text(
    "SELECT id, stop FROM flowrunner_runs WHERE process = :process AND ended_at IS NULL AND stop IS NOT NULL"
)
#: The processes that have runs, keys or places. A request with an idempotency key may be in progress before its run is
#: recorded, or after it has ended.
_OTHERS: Final = (
    "SELECT busy.process AS id, known.place, known.beat FROM"
    " (SELECT process FROM flowrunner_runs WHERE ended_at IS NULL{}"
    " UNION SELECT process FROM flowrunner_answers WHERE state = 'open'"
    " UNION SELECT process FROM flowrunner_places) AS busy"
    " LEFT JOIN flowrunner_processes AS known ON known.id = busy.process"
    " WHERE busy.process <> :process OR busy.process IS NULL"
)
_OTHERS_OF_POOLS: Final = text(_OTHERS.format(""))
_OTHERS_OF_ENGINES: Final = text(_OTHERS.format(" AND (process IS NOT NULL OR engine IS NULL)"))


class Ledger:
    """Reads and writes the states of runs. The state of a run that has ended never changes.

    :param engine: the engine of the app's own data.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        mark = ":{}" if engine.dialect.name == "sqlite" else "%({})s"
        places = ", ".join(mark.format(name) for name in _COLUMNS)
        # The run log may have inserted the row before, from its own thread.
        changes = ", ".join(f"{name} = excluded.{name}" for name in ("status", "kind", "process", "ended_at"))
        self._insert = (
            f"INSERT INTO {runs.name} ({', '.join(_COLUMNS)}) VALUES ({places})"  # noqa: S608
            f" ON CONFLICT (id) DO UPDATE SET {changes} WHERE {runs.name}.ended_at IS NULL"
        )
        status, ended_at, run_id = (mark.format(name) for name in ("status", "ended_at", "id"))
        self._end = (
            f"UPDATE {runs.name} SET status = {status}, ended_at = {ended_at}"  # noqa: S608
            f" WHERE id = {run_id} AND ended_at IS NULL"
        )

    def adding(self, **row: Any) -> Statement:
        """Return the statement that inserts a run, to be executed in another transaction."""
        return self._insert, row

    def ending(self, run_id: str, status: str) -> Statement:
        """Return the statement that ends a run, to be executed in another transaction."""
        return self._end, {"id": run_id, "status": status, "ended_at": moment_text(utc_now())}

    def write(self, statements: Iterable[Statement]) -> None:
        """Execute statements in their own transaction, which survives the end of the process."""
        with unhurried(self.engine) as connection:
            for statement, parameters in statements:
                connection.exec_driver_sql(statement, dict(parameters))

    def accept(self, along: Callable[[Connection], None] | None = None, **row: Any) -> int:
        """Record a queued run; it is on disk when this returns.

        :param along: writes related rows in the same transaction; an exception rolls back both.
        :returns: the number of the run; runs start in the order of their numbers.
        """
        values = {"status": QUEUED, "accepted_at": moment_text(utc_now()), **row}
        with writing(self.engine) as connection:
            if connection.dialect.name == "postgresql":
                # Numbers are assigned before the commit: a later commit must not have a smaller number.
                go_alone(connection, _SWEEP)
            if along is not None:
                along(connection)
            return int(connection.execute(insert(runs).values(**values).returning(runs.c.seq)).scalar_one())

    def begin(self, run_id: str, process: str) -> bool:
        """Change the state of a run of this process from queued to running; return whether it was still queued."""
        with writing(self.engine) as connection:
            found = connection.execute(
                update(runs)
                .where(runs.c.id == run_id, runs.c.status == QUEUED, runs.c.process == process, runs.c.stop.is_(None))
                .values(status=RUNNING, started_at=moment_text(utc_now()), begun=runs.c.begun + 1)
            )
            return found.rowcount == 1

    def sent(self, run_id: str) -> Row[Any] | None:
        """Return the complete row of a run sent to an engine; None if it does not exist."""
        with reading(self.engine) as connection:
            return connection.execute(select(runs).where(runs.c.id == run_id, runs.c.engine.is_not(None))).first()

    def begin_sent(self, run_id: str, process: str) -> bool:
        """Change the state of an engine's run from queued to running in a process; return whether it was queued."""
        with writing(self.engine) as connection:
            found = connection.execute(
                update(runs)
                .where(runs.c.id == run_id, runs.c.status == QUEUED, runs.c.engine.is_not(None), runs.c.stop.is_(None))
                .values(status=RUNNING, process=process, started_at=moment_text(utc_now()), begun=runs.c.begun + 1)
            )
            return found.rowcount == 1

    def next_of(self, lane: str, engine: str) -> str | None:
        """Return the next run of a lane, if it is queued on an engine."""
        first = select(runs).where(runs.c.ended_at.is_(None), runs.c.lane == lane).order_by(runs.c.seq).limit(1)
        with reading(self.engine) as connection:
            row = connection.execute(first).first()
        return row.id if row is not None and row.status == QUEUED and row.engine == engine else None

    def to_send(self, engine: str, before: str, most: int = 200) -> list[str]:
        """Return queued runs that were not sent to an engine since a given time, and mark them as sent.

        Only the first unfinished run of each lane is returned.
        """
        earlier = runs.alias()
        waits = exists().where(earlier.c.lane == runs.c.lane, earlier.c.ended_at.is_(None), earlier.c.seq < runs.c.seq)
        # A time in the future was recorded before the clock was set back.
        ahead = moment_text(utc_now() + _CLOCKS_APART)
        told = runs.c.sent_at.is_(None) | (runs.c.sent_at < before) | (runs.c.sent_at > ahead)
        wanted = (
            select(runs.c.id)
            .where(runs.c.ended_at.is_(None), runs.c.status == QUEUED, runs.c.engine == engine, told, ~waits)
            .order_by(runs.c.seq)
            .limit(most)
        )
        with writing(self.engine) as connection:
            go_alone(connection, _SWEEP)
            found = [row.id for row in connection.execute(wanted)]
            if found:
                told_now = update(runs).where(runs.c.id.in_(found)).values(sent_at=moment_text(utc_now()))
                connection.execute(told_now)
            return found

    def unsend(self, run_ids: Sequence[str]) -> None:
        """Undo marking runs as sent, after the engine could not be reached."""
        with unhurried(self.engine) as connection:
            theirs = (runs.c.id.in_(run_ids), runs.c.status == QUEUED)
            connection.execute(update(runs).where(*theirs).values(sent_at=None))

    def end(self, run_id: str, status: str, *, code: str = "", message: str = "") -> bool:
        """End a run; return whether it was open."""
        with unhurried(self.engine) as connection:
            return _end(connection, [run_id], status, code, message) == 1

    def end_queued(self, run_id: str, message: str) -> bool:
        """Cancel a run that has not started, in any process; return whether it was still queued."""
        with writing(self.engine) as connection:
            ended = {"status": CANCELLED, "ended_at": moment_text(utc_now()), "request": None}
            error = json_text(["run_cancelled", message])
            found = connection.execute(
                update(runs).where(runs.c.id == run_id, runs.c.status == QUEUED).values(**ended, error=error)
            )
            return found.rowcount == 1

    def ask_to_stop(self, run_id: str, reason: str) -> bool:
        """Request that the process of a run stops it; return whether the run was open."""
        with unhurried(self.engine) as connection:
            found = connection.execute(
                update(runs).where(runs.c.id == run_id, runs.c.ended_at.is_(None)).values(stop=reason)
            )
            return found.rowcount == 1

    def asked_to_stop(self, process: str) -> dict[str, str]:
        """Return the open runs of a process for which a stop was requested, with the reasons."""
        with reading(self.engine) as connection:
            return {row.id: row.stop for row in connection.execute(_ASKED_TO_STOP, {"process": process})}

    def find(self, run_id: str, owner: Owner) -> Row[Any] | None:
        """Return the row of an owner's run without its large columns; None if it does not exist."""
        kept = [c for c in runs.c if c.name not in ("request", "record")]
        statement = select(*kept).where(runs.c.id == run_id)
        if owner is not EVERY_OWNER:
            statement = statement.where(runs.c.owner == owner)
        with reading(self.engine) as connection:
            return connection.execute(statement).first()

    def first_open(self, lanes: Iterable[str]) -> dict[str, int]:
        """Return the number of the first unfinished background run of each lane."""
        statement = (
            select(runs.c.lane, func.min(runs.c.seq))
            .where(runs.c.ended_at.is_(None), runs.c.lane.in_(list(lanes)))
            .group_by(runs.c.lane)
        )
        with reading(self.engine) as connection:
            return {str(row[0]): int(row[1]) for row in connection.execute(statement)}

    def register(self, **row: Any) -> None:
        """Register a process."""
        with unhurried(self.engine) as connection:
            connection.execute(_REGISTER, {"started_at": moment_text(utc_now()), **row})

    def beat(self, process: str) -> None:
        """Show that a process lives."""
        with unhurried(self.engine) as connection:
            connection.execute(_BEAT, {"process": process})

    def others(self, process: str, *, engine: bool = False) -> Sequence[Any]:
        """Return the other processes with unfinished runs: id, place and heartbeat.

        ``place`` is None for a process that is no longer registered; ``id`` is None for runs without a process.

        :param engine: whether an engine is used: runs without a process then belong to the engine.
        """
        statement = _OTHERS_OF_ENGINES if engine else _OTHERS_OF_POOLS
        with reading(self.engine) as connection:
            return connection.execute(statement, {"process": process}).all()

    def take_over(
        self, gone: str | None, process: str, *, engine: bool = False
    ) -> tuple[list[Row[Any]], list[Row[Any]]]:
        """Take over the runs of a dead process, or runs without a process.

        :param gone: the id of the process; None for runs without a process.
        :returns: the runs that had not started or may be repeated, which now belong to ``process``, in order; and the
            runs that had started, which are now marked as lost.
        """
        theirs = runs.c.process.is_(None) if gone is None else runs.c.process == gone
        mine = (runs.c.ended_at.is_(None), theirs, *_of_nobody(engine))
        with writing(self.engine) as connection:
            go_alone(connection, _SWEEP)
            rows = connection.execute(select(runs).where(*mine).order_by(runs.c.seq)).all()
            queued = [row for row in rows if row.status == QUEUED or _may_begin_again(row)]
            again = {row.id for row in queued}
            lost = [row for row in rows if row.id not in again]
            if queued:
                owner = case((runs.c.engine.is_not(None), None), else_=process) if engine else process
                taken = update(runs).where(runs.c.id.in_(again))
                connection.execute(taken.values(process=owner, status=QUEUED, started_at=None, sent_at=None))
            _end(
                connection,
                [row.id for row in lost],
                LOST,
                "run_lost",
                "The process of this run ended before the run did; what it had stored by then is kept.",
            )
            if gone is not None:
                connection.execute(places.delete().where(places.c.process == gone))
                connection.execute(processes.delete().where(processes.c.id == gone))
            return queued, lost

    def let_go(self, process: str) -> int:
        """Release the queued runs of a process for other processes to take over; return their number."""
        with writing(self.engine) as connection:
            return connection.execute(
                update(runs).where(runs.c.process == process, runs.c.status == QUEUED).values(process=None)
            ).rowcount

    def let_go_of(self, run_id: str) -> None:
        """Release a queued run for another process to take over."""
        with writing(self.engine) as connection:
            mine = (runs.c.id == run_id, runs.c.status == QUEUED, runs.c.engine.is_(None))
            connection.execute(update(runs).where(*mine).values(process=None))

    def process(self, process: str) -> Any:
        """Return the id, place and heartbeat of a process; None if it is no longer registered."""
        statement = select(processes.c.id, processes.c.place, processes.c.beat).where(processes.c.id == process)
        with reading(self.engine) as connection:
            return connection.execute(statement).first()

    def forget(self, process: str) -> None:
        """Unregister a process that ends normally."""
        with unhurried(self.engine) as connection:
            connection.execute(places.delete().where(places.c.process == process))
            connection.execute(processes.delete().where(processes.c.id == process))


def _of_nobody(engine: bool) -> tuple[Any, ...]:
    """Return the condition that excludes runs waiting for an engine, which belong to no process."""
    return (runs.c.process.is_not(None) | runs.c.engine.is_(None),) if engine else ()


def _may_begin_again(row: Row[Any]) -> bool:
    """Return whether a started run may be repeated; a run that kills its process is not repeated forever."""
    return bool(row.again) and row.request is not None and row.stop is None and row.begun < MOST_BEGINNINGS


def _end(connection: Connection, run_ids: Sequence[str], status: str, code: str, message: str) -> int:
    if not run_ids:
        return 0
    values: Mapping[str, Any] = {
        "status": status,
        "ended_at": moment_text(utc_now()),
        "request": None,
        "error": json_text([code, message]) if code else None,
    }
    found = connection.execute(update(runs).where(runs.c.id.in_(run_ids), runs.c.ended_at.is_(None)).values(**values))
    return found.rowcount
