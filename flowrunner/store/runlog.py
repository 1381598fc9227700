"""The run log: records what runs did, without delaying or failing them."""

from __future__ import annotations

import atexit
import logging
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import Connection, Engine, Table, text
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from flowrunner.engine.events import RECORDED_EVENTS, RunEvent
from flowrunner.memory.forks import after_fork
from flowrunner.settings.setting import Settings
from flowrunner.store.relaxed_commits import unhurried
from flowrunner.store.runrecords import RunRecords
from flowrunner.store.runrows import RowMaker, Rows
from flowrunner.store.steps import keep_newest_steps
from flowrunner.store.tables import runs

logger = logging.getLogger("flowrunner")

#: Seconds to collect a batch, to keep an idle thread, and until a failed write is retried.
_GATHER: Final = 0.25
_IDLE: Final = 10.0
_RETRY: Final = 1.0
_MOST_WAITING: Final = 20_000
_BATCH: Final = 500
#: With more pending entries than this, the log no longer yields to other writers.
_BEHIND: Final = 2000

#: Unfinished runs are never removed, however old they are.
_REMOVE_OLDEST: Final = text(
    "DELETE FROM flowrunner_runs WHERE seq <= (SELECT max(seq) FROM flowrunner_runs) - :most AND ended_at IS NOT NULL"
)
#: Appends steps to the row of a run, as lines.
_ADD: Final = (
    f" steps = {runs.name}.steps + excluded.steps, vertices = coalesce("
    f"{runs.name}.vertices || '\n' || excluded.vertices, excluded.vertices, {runs.name}.vertices)"
)
#: Inserts a run or adds its record; the state of a run that has ended is not changed.
_KNOWN: Final = f" ON CONFLICT (id) DO UPDATE SET{_ADD}"
_COMPLETED: Final = (
    f" ON CONFLICT (id) DO UPDATE SET{_ADD}, record = excluded.record, session_id = excluded.session_id,"
    f" status = CASE WHEN {runs.name}.ended_at IS NULL THEN excluded.status ELSE {runs.name}.status END,"
    f" started_at = coalesce({runs.name}.started_at, excluded.started_at),"
    f" ended_at = coalesce({runs.name}.ended_at, excluded.ended_at)"
)


class RunLog(RunRecords):
    """Records the events of runs, in bounded space.

    Runs append events to a queue. One thread per process writes them in batches; it exists only while there is
    something to write. If the queue is full, events are dropped, and their number is logged. Pending events are
    written before this process reads the log, when the log is closed, and when the process ends.

    :param known_secrets: returns texts that must not be stored, in addition to recognized secrets.
    """

    def __init__(
        self, engine: Engine, settings: Settings, known_secrets: Callable[[], Iterable[str]] = lambda: ()
    ) -> None:
        super().__init__(engine, settings.run_log_per_vertex)
        self._known_secrets = known_secrets
        self._process: Callable[[], str | None] = lambda: None
        self._total: int = settings.run_log_total
        self._reset()
        after_fork(self._reset)
        _open.add(self)

    def know_process(self, process: Callable[[], str | None]) -> None:
        """Set the process that is recorded for runs in progress.

        :param process: returns the id of this process in the ledger of runs.
        """
        self._process = process

    def observe(self, event: RunEvent) -> None:
        """Queue an event. This is cheap and never fails."""
        if event.kind not in RECORDED_EVENTS:
            return
        if len(self._queue) >= _MOST_WAITING:
            self._dropped += 1
            return
        self._queue.append(event)
        if not self._awake:
            self._wake()

    def flush(self) -> None:
        """Write all events that this process has queued."""
        while (self._queue or self._unwritten) and self._drain():
            pass

    def close(self) -> None:
        """Write everything and stop. Events that cannot be written are counted in a warning."""
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
        """Reset the state, also in a forked child: the parent writes its own events."""
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
                    # The process is ending or cannot start a thread: pending events are written at its end.
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
                # Events that arrive during a write wait for the next batch: many small ones would slow down runs.
                wait = 0.0 if len(self._queue) > _BATCH else _GATHER
                if self._closing.wait(wait if self._drain() else _RETRY):
                    break

    def _drain(self) -> bool:
        """Write one batch; return whether it succeeded."""
        with self._writing:
            if not self._unwritten:
                events = [self._queue.popleft() for _ in range(min(len(self._queue), _BATCH))]
                self._unwritten.append(self._maker.make(events, self._cannot_keep))
            self._report_dropped()
            rows = self._unwritten[0]
            try:
                self._write(rows)
            except OperationalError as error:
                # The write is retried. The statement contains data, so only the type of the error is logged.
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
        # Without the SQL compiler, which costs more than the database for plain rows.
        # Finished runs began before most others: a new row must be newer than the rows before it.
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
        """Remove the oldest entries over the limit, from time to time.

        Builds of one vertex are not removed separately: reading shows only the newest.
        """
        self._added += rows.steps + len(rows.ended)
        if self._added * 10 >= self._total:
            self._added = 0
            keep_newest_steps(connection, self._total)
            connection.execute(_REMOVE_OLDEST, {"most": self._total})

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
    # Not as an upsert: each attempt would use a number of the sequence, by which old runs are removed.
    place = "?" if dialect == "sqlite" else "%s"
    return (
        f"UPDATE {runs.name} SET steps = steps + {place},"  # noqa: S608
        f" vertices = coalesce(vertices || '\n', '') || {place} WHERE id = {place}"
    )


_open: Final[weakref.WeakSet[RunLog]] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    for log in list(_open):
        log.close()
