"""The run log: records what runs did, without delaying or failing them."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import Connection, Engine, Table, delete, func, select
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from flowrunner.engine.events import RECORDED_EVENTS, RunEvent
from flowrunner.settings.setting import Settings
from flowrunner.store.relaxed_commits import unhurried
from flowrunner.store.runrecords import RunRecords
from flowrunner.store.runrows import RowMaker, Rows
from flowrunner.store.steps import keep_newest_steps
from flowrunner.store.tables import runs

logger = logging.getLogger("flowrunner")

#: Seconds that a batch gathers, seconds after which an idle thread goes, and until a failed write is tried again.
_GATHER: Final = 0.25
_IDLE: Final = 10.0
_RETRY: Final = 1.0
_MOST_WAITING: Final = 20_000
_BATCH: Final = 500
#: With more than that to write, the log gives way to nobody.
_BEHIND: Final = 2000

#: What a run has done is added to what is known of it, in lines.
_ADD: Final = (
    f" steps = {runs.name}.steps + excluded.steps, vertices = coalesce("
    f"{runs.name}.vertices || '\n' || excluded.vertices, excluded.vertices, {runs.name}.vertices)"
)
#: A run that is recorded already keeps its state, or gets its record; one that has ended keeps its end.
_KNOWN: Final = f" ON CONFLICT (id) DO UPDATE SET{_ADD}"
_COMPLETED: Final = (
    f" ON CONFLICT (id) DO UPDATE SET{_ADD}, record = excluded.record, session_id = excluded.session_id,"
    f" status = CASE WHEN {runs.name}.ended_at IS NULL THEN excluded.status ELSE {runs.name}.status END,"
    f" started_at = coalesce({runs.name}.started_at, excluded.started_at),"
    f" ended_at = coalesce({runs.name}.ended_at, excluded.ended_at)"
)


class RunLog(RunRecords):
    """Takes the events of runs, and keeps them within bounds.

    A run only appends to a queue; one thread per process writes, in batches, and is there only
    while there is something to write. A full queue drops what comes and says how much that was.
    What this process has taken is written before it reads, when it is closed, and at its end.

    :param known_secrets: returns texts that must not be kept, besides those that show themselves.
    """

    def __init__(
        self, engine: Engine, settings: Settings, known_secrets: Callable[[], Iterable[str]] = lambda: ()
    ) -> None:
        super().__init__(engine, settings.run_log_per_vertex)
        self._known_secrets = known_secrets
        self._process: Callable[[], str | None] = lambda: None
        self._total: int = settings.run_log_total
        self._reset()
        _at_fork_and_end(self)

    def know_process(self, process: Callable[[], str | None]) -> None:
        """Have runs in progress noted with the process that they are in.

        :param process: returns its id in the ledger of runs.
        """
        self._process = process

    def observe(self, event: RunEvent) -> None:
        """Take an event; costs next to nothing and never fails."""
        if event.kind not in RECORDED_EVENTS:
            return
        if len(self._queue) >= _MOST_WAITING:
            self._dropped += 1
            return
        self._queue.append(event)
        if not self._awake:
            self._wake()

    def flush(self) -> None:
        """Write what this process has taken so far."""
        while (self._queue or self._unwritten) and self._drain():
            pass

    def close(self) -> None:
        """Write everything and stop; what cannot be written is counted in a warning."""
        self._closing.set()
        self._signal.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout=30)
        self.flush()
        left = len(self._queue) + len(self._unwritten)
        if left:
            logger.warning("The run log could not be written at shutdown: %d entries are lost.", left)
            self._queue.clear()
            self._unwritten.clear()

    def _rows(self, statement: Any) -> Any:
        self.flush()
        return super()._rows(statement)

    def builds(self, *args: Any, **kwargs: Any) -> dict[str, list[dict[str, Any]]]:
        """Return the builds of a flow; see :meth:`RunRecords.builds`."""
        self.flush()
        return super().builds(*args, **kwargs)

    def transactions(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Return a page of transactions; see :meth:`RunRecords.transactions`."""
        self.flush()
        return super().transactions(*args, **kwargs)

    def delete_builds(self, *args: Any, **kwargs: Any) -> int:
        """Remove builds; see :meth:`RunRecords.delete_builds`."""
        self.flush()
        return super().delete_builds(*args, **kwargs)

    def _reset(self) -> None:
        """Begin with nothing: at first, and in a forked child, where the parent writes its own events."""
        self._queue: deque[RunEvent] = deque()
        self._unwritten: deque[Rows] = deque()
        self._maker = RowMaker(self._known_secrets, lambda: self._process())
        self._added = 0
        self._dropped = 0
        self._warned = False
        self._awake = False
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._writing = threading.Lock()
        self._signal = threading.Event()
        self._closing = threading.Event()

    def _wake(self) -> None:
        with self._starting:
            self._awake = True
            self._signal.set()
            if self._thread is None and not self._closing.is_set():
                self._thread = threading.Thread(target=self._work, name="flowrunner-run-log", daemon=True)
                try:
                    self._thread.start()
                except RuntimeError:
                    # The process ends, or has no thread left: what waits is written at its end.
                    self._thread = None

    def _work(self) -> None:
        while not self._closing.is_set():
            if not self._signal.wait(_IDLE):
                with self._starting:
                    if not self._signal.is_set():
                        self._awake, self._thread = False, None
                        return
            self._signal.clear()
            self._closing.wait(_GATHER)
            self._awake = False
            while self._queue or self._unwritten:
                # What comes while a batch is written gathers, too: many small transactions keep runs from theirs.
                wait = 0.0 if len(self._queue) > _BATCH else _GATHER
                if self._closing.wait(wait if self._drain() else _RETRY):
                    break

    def _drain(self) -> bool:
        """Write one batch; say whether that worked."""
        with self._writing:
            if not self._unwritten:
                events = [self._queue.popleft() for _ in range(min(len(self._queue), _BATCH))]
                self._unwritten.append(self._maker.make(events, self._cannot_keep))
            self._report_dropped()
            rows = self._unwritten[0]
            try:
                self._write(rows)
            except OperationalError as error:
                # Busy, full or away: it is tried again. The statement holds data, so only the kind is said.
                if not self._warned:
                    self._warned = True
                    logger.warning("The run log cannot be written now (%s); trying again.", type(error.orig).__name__)
                return False
            except SQLAlchemyError as error:
                self._cannot_keep(error)
            self._unwritten.popleft()
            self._warned = False
            return True

    def _write(self, rows: Rows) -> None:
        if not (rows.begun or rows.going or rows.ended):
            return
        dialect = self._engine.dialect.name
        # Past the SQL compiler: for plain rows of one kind it costs more than the database.
        # Those that have ended began before most others: a new row is newer than the rows before it.
        inserts = [
            (_insert(runs, tuple(new[0]), dialect) + conflict, [tuple(row.values()) for row in new])
            for new, conflict in ((rows.ended, _COMPLETED), (rows.begun, _KNOWN))
            if new
        ]
        with unhurried(self._engine, background=len(self._queue) < _BEHIND) as connection:
            for statement, values in inserts:
                connection.exec_driver_sql(statement, values)
            if rows.going:
                connection.exec_driver_sql(_go_on(dialect), rows.going)
            self._keep_bounds(connection, rows)

    def _keep_bounds(self, connection: Connection, rows: Rows) -> None:
        """Remove what is over the bound, once in a while.

        Builds of one vertex need no removal of their own: a reading shows the newest of them.
        """
        self._added += rows.steps + len(rows.ended)
        if self._added * 10 >= self._total:
            self._added = 0
            keep_newest_steps(connection, self._total)
            newest = select(func.max(runs.c.seq)).scalar_subquery()
            # What has not ended is no surplus, however long it takes.
            connection.execute(delete(runs).where(runs.c.seq <= newest - self._total, runs.c.ended_at.is_not(None)))

    def _cannot_keep(self, error: Exception) -> None:
        logger.warning("An entry of the run log cannot be stored: %s", type(error).__name__)

    def _report_dropped(self) -> None:
        dropped, self._dropped = self._dropped, 0
        if dropped:
            logger.warning("The run log could not keep up: %d events were dropped.", dropped)


@lru_cache
def _insert(table: Table, columns: tuple[str, ...], dialect: str) -> str:
    places = ", ".join(["?" if dialect == "sqlite" else "%s"] * len(columns))
    return f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES ({places})"  # noqa: S608


@lru_cache
def _go_on(dialect: str) -> str:
    # Not as an insert that finds its row: each of those takes a number of the sequence, by which runs are kept.
    place = "?" if dialect == "sqlite" else "%s"
    return (
        f"UPDATE {runs.name} SET steps = steps + {place},"  # noqa: S608
        f" vertices = coalesce(vertices || '\n', '') || {place} WHERE id = {place}"
    )


def _at_fork_and_end(log: RunLog) -> None:
    reference = weakref.ref(log)

    def forked() -> None:
        found = reference()
        if found is not None:
            found._reset()

    def ended() -> None:
        found = reference()
        if found is not None:
            found.close()

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=forked)
    atexit.register(ended)
