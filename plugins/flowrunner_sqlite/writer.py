"""Group commit: one transaction for all concurrent writers."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from itertools import islice, takewhile
from typing import Any, Final

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from flowrunner import Cargo, FlowRunnerError, after_fork, cargo_for, taking_turns, writing
from flowrunner_sqlite.failures import failed, taken, unreadable
from flowrunner_sqlite.rows import COLUMNS, Row, flow_key
from flowrunner_sqlite.statements import DriverStatement, count_session, insert_messages

#: On PostgreSQL, as on SQLite anyway, one transaction writes messages at a time. Numbers of a sequence are
#: given out before commit: without the lock a reader could see a later message first, page on behind it, and
#: never see the earlier one; and the search index could miss a text that changes while it is read. Whatever
#: a host's engine is set to, the transaction must see what was committed while it waited for the lock.
_LOCK: Final = f"SET TRANSACTION ISOLATION LEVEL READ COMMITTED; SELECT pg_advisory_xact_lock({0x666C6F77})"

#: How many callers share a transaction at most. It takes the longer the more they are, and whoever comes
#: meanwhile waits for all of it.
_MOST_TOGETHER: Final = 32

_ID, _OWNER, _KEY, _LONG, _FLOW, _AT = (
    COLUMNS.index(name) for name in ("id", "owner", "session_key", "long_session_id", "flow_id", "timestamp")
)


class _Call:
    """Somebody's rows on their way to the disk. Without rows: somebody who wants to write alone."""

    __slots__ = ("cargo", "error", "leads", "rows", "woken")

    def __init__(self, rows: Sequence[Row] | None, cargo: Cargo | None = None) -> None:
        self.rows = rows
        self.cargo = cargo
        self.error: BaseException | None = None
        self.leads = False
        # A plain lock, released to wake the one who waits: an Event costs three times as much.
        self.woken = threading.Lock()
        self.woken.acquire()


class GroupCommit:
    """Writes rows of messages; each caller returns when its own rows are on disk.

    Who comes while nobody writes, writes at once on its own thread. Who comes while another
    writes, waits; the first of those who wait then leads: it commits the rows of all of them in
    one transaction and wakes them. So a single caller pays for no other thread, and many callers
    share the cost of the disk. Where more wait than share a transaction, owners take turns: whoever
    has much to store cannot keep others waiting. If a transaction fails for what somebody's rows hold, each caller's
    rows are tried alone, so that one bad append fails alone.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._is_sqlite = engine.dialect.name == "sqlite"
        self._driver: Any = engine.dialect.dbapi
        self._inherited: list[Any] = []
        self._queue: deque[_Call] = deque()
        self._connection: Any = None
        self._start()
        after_fork(self.start_in_child)

    # Compiled when first used: a site that starts, or one of its commands, may never store a message.

    @cached_property
    def _insert(self) -> DriverStatement:
        return insert_messages(self._engine)

    @cached_property
    def _count(self) -> DriverStatement:
        return count_session(self._engine)

    def append(self, rows: Sequence[Row]) -> None:
        """Store rows, all or none; they are committed when this returns.

        :raises MessageInvalid: if an id is taken or a text cannot be encoded.
        :raises MemoryFailed: if the database fails.
        """
        cargo = cargo_for(self._engine)
        call = _Call(rows, cargo)
        self._wait_for_turn(call)
        if call.leads:
            batch = self._batch(call)
            try:
                self._commit(batch)
            except BaseException as error:
                for other in batch:
                    other.error = other.error or failed(error)
                raise
            finally:
                self._pass_on()
                for other in batch:
                    if other is not call:
                        other.woken.release()
        if call.error is not None:
            raise call.error
        if cargo is not None:
            cargo.delivered = True

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Open a transaction for writing that is not an append; this process's appends wait meanwhile."""
        call = _Call(None)
        self._wait_for_turn(call)
        try:
            with writing(self._engine) as connection:
                if not self._is_sqlite:
                    connection.exec_driver_sql(_LOCK)
                yield connection
        finally:
            self._pass_on()

    def close(self) -> None:
        """Give back the connection."""
        self._wait_for_turn(_Call(None))
        try:
            if self._connection is not None:
                self._connection.close()
                self._connection = None
        finally:
            self._pass_on()

    def _start(self) -> None:
        self._lock = threading.Lock()
        self._busy = False
        self._queue.clear()
        self._connection = None

    def start_in_child(self) -> None:
        """Begin afresh in a forked process, where nobody would ever finish what was going on."""
        # The parent's connection must not be used here, nor closed: that would release the parent's locks.
        self._inherited.append(self._connection)
        self._start()

    def _wait_for_turn(self, call: _Call) -> None:
        """Return when the call leads, or when another one has done its work."""
        with self._lock:
            if not self._busy:
                self._busy = call.leads = True
                return
            self._queue.append(call)
        call.woken.acquire()

    def _pass_on(self) -> None:
        with self._lock:
            if not self._queue:
                self._busy = False
                return
            following = self._queue.popleft()
            following.leads = True
        following.woken.release()

    def _batch(self, call: _Call) -> list[_Call]:
        """Return the call and those that came after it, up to one that wants to write alone; owners in turn."""
        if not self._queue:
            return [call]
        with self._lock:
            following = list(takewhile(lambda other: other.rows is not None, self._queue))
            if len(following) < _MOST_TOGETHER:
                chosen = following
                self._queue = deque(islice(self._queue, len(following), None))
            else:
                chosen = _in_turn(call, following)[: _MOST_TOGETHER - 1]
                taken_along = set(map(id, chosen))
                self._queue = deque(other for other in self._queue if id(other) not in taken_along)
        return [call, *chosen]

    def _commit(self, batch: Sequence[_Call]) -> None:
        try:
            with taking_turns(self._engine):
                self._write(
                    [row for call in batch for row in call.rows or ()],
                    [call.cargo for call in batch if call.cargo is not None],
                )
        except Exception as error:
            if len(batch) == 1 or self._is_outage(error):
                for call in batch:
                    call.error = self._in_contract_words(error)
                return
            for call in batch:
                self._commit([call])

    def _write(self, rows: Sequence[Row], along: Sequence[Cargo]) -> None:
        for last_try in (False, True):
            connection = self._connection or self._connect()
            committing = False
            try:
                cursor = connection.cursor()
                cursor.execute("BEGIN IMMEDIATE" if self._is_sqlite else _LOCK)
                cursor.executemany(self._insert.sql, self._insert.bind_rows(rows))
                for values in _sessions_of(rows):
                    cursor.execute(self._count.sql, self._count.bind(values))
                for cargo in along:
                    for statement, parameters in cargo.statements:
                        cursor.execute(statement, parameters)
                committing = True
                connection.commit()
                return
            except BaseException as error:
                lost = self._give_up(connection, error)
                if not lost or committing or last_try:
                    raise

    def _connect(self) -> Any:
        self._connection = self._engine.raw_connection()
        return self._connection

    def _give_up(self, connection: Any, error: BaseException) -> bool:
        """Roll back; say whether the connection was lost, so that another one may be tried."""
        driver = connection.dbapi_connection
        lost = isinstance(error, self._driver.Error) and self._engine.dialect.is_disconnect(error, driver, None)
        try:
            connection.rollback()
        except self._driver.Error:
            lost = True
        if lost:
            connection.invalidate()
            self._connection = None
        return lost

    def _is_outage(self, error: BaseException) -> bool:
        """Return whether the database itself failed, so that trying single rows again makes no sense."""
        return isinstance(error, (self._driver.OperationalError, self._driver.InterfaceError, SQLAlchemyError))

    def _in_contract_words(self, error: Exception) -> FlowRunnerError:
        if isinstance(error, self._driver.IntegrityError):
            said: FlowRunnerError = taken(error)
        elif isinstance(error, UnicodeError):
            said = unreadable(error)
        else:
            said = failed(error)
        said.__cause__ = error
        return said


def _in_turn(first: _Call, following: Sequence[_Call]) -> list[_Call]:
    """Return calls so that each owner's n-th comes before everybody's next; equals in the order in which they came."""
    counted = Counter([_owner(first)])
    ranked: list[tuple[int, int, _Call]] = []
    for position, call in enumerate(following):
        owner = _owner(call)
        ranked.append((counted[owner], position, call))
        counted[owner] += 1
    return [call for _, _, call in sorted(ranked, key=lambda entry: entry[:2])]


def _owner(call: _Call) -> str:
    return str(call.rows[0][_OWNER]) if call.rows else ""


def _sessions_of(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return what rows add to the table of sessions."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        key = (row[_KEY], row[_OWNER], row[_FLOW])
        values = found.get(key)
        if values is None:
            values = found[key] = {
                "session_key": row[_KEY],
                "owner": row[_OWNER],
                "flow_key": flow_key(row[_FLOW]),
                "long_session_id": row[_LONG],
                "added": 0,
                "first_id": row[_ID],
                "first_at": row[_AT],
            }
        values["added"] += 1
        values["last_id"] = row[_ID]
        values["last_at"] = row[_AT]
    return list(found.values())
