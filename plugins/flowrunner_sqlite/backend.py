"""The operations of the contract on a database."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final

from sqlalchemy import Connection, Engine

from flowrunner import (
    FlowRunnerError,
    MemoryBackend,
    Message,
    MessageChanges,
    MessageQuery,
    SessionQuery,
    SessionSummary,
    SettingsInvalid,
    reading,
)
from flowrunner_sqlite.edits import FACTS, change_rows, remove_rows
from flowrunner_sqlite.failures import contract_errors
from flowrunner_sqlite.queries import ROW, conditions, parts, select_rows
from flowrunner_sqlite.rows import RowFormat
from flowrunner_sqlite.search import find_texts
from flowrunner_sqlite.search_index import SearchIndex
from flowrunner_sqlite.session_locks import SessionLocks
from flowrunner_sqlite.summaries import list_sessions
from flowrunner_sqlite.tables import schema
from flowrunner_sqlite.writer import GroupCommit

logger = logging.getLogger("flowrunner")

_MOST: Final = 5000


class SqliteMemory(MemoryBackend):
    """Keeps messages in a SQLite file, or in PostgreSQL.

    :param engine: set up as :func:`flowrunner.database_engine` does it; it stays its owner's.
    :raises SettingsInvalid: if it is another kind of database.
    :raises SchemaOutdated: if its tables want ``flowrunner db upgrade``.
    """

    shared = True
    durable = True
    searches = True

    def __init__(self, engine: Engine) -> None:
        if engine.dialect.name not in ("sqlite", "postgresql"):
            raise SettingsInvalid(
                f"The memory backend sqlite keeps messages in SQLite or PostgreSQL, not in {engine.dialect.name}."
            )
        with contract_errors(engine):
            schema.ensure(engine)
        self._engine = engine
        url = engine.url
        self.place = str(url.database) if url.drivername.startswith("sqlite") else url.render_as_string()
        self._form = RowFormat(engine.dialect.name)
        self._writer = GroupCommit(engine)
        self._index = SearchIndex(engine, self._writer, self._form)
        self.locks = engine.dialect.name == "postgresql"
        self._locks = SessionLocks(engine) if self.locks else None

    def append_messages(self, messages: Sequence[Message]) -> list[Message]:
        if not messages:
            return []
        to_row = self._form.to_row
        self._writer.append([to_row(message) for message in messages])
        if self._index.is_due(len(messages)):
            self._follow()
        return list(messages)

    def _follow(self) -> None:
        """Let the index take in what is stored; where that fails, a search does it."""
        try:
            with contract_errors(self._engine):
                self._index.follow()
        except FlowRunnerError as error:
            logger.warning("The search index cannot be updated: %s", error.message)

    def fetch_messages(self, query: MessageQuery) -> list[Message]:
        with contract_errors(self._engine):
            if query.words() and query.session_id is None:
                self._index.catch_up()
            with self._reading() as connection:
                to_message = self._form.to_message
                return [to_message(row) for row in self._find(connection, query, ROW)]

    def update_messages(self, query: MessageQuery, changes: MessageChanges) -> list[Message]:
        with contract_errors(self._engine), self._writer.transaction() as connection:
            rows = self._find(connection, query, FACTS)
            if not rows:
                return []
            seqs = change_rows(connection, rows, changes, self._form, self._index)
            return [self._form.to_message(row) for row in _by_seq(connection, seqs, ROW)]

    def delete_messages(self, query: MessageQuery) -> int:
        with contract_errors(self._engine), self._writer.transaction() as connection:
            rows = self._find(connection, query, FACTS)
            remove_rows(connection, rows, self._form, self._index)
            return len(rows)

    def list_sessions(self, query: SessionQuery) -> list[SessionSummary]:
        with contract_errors(self._engine), self._reading() as connection:
            return list_sessions(connection, query, self._form)

    def close(self) -> bool:
        with contract_errors(self._engine):
            self._writer.close()
            if self._locks is not None:
                self._locks.close()
        return True

    def commits_on(self, engine: Engine) -> bool:
        return engine is self._engine

    def session_lock(self, owner: str, session_id: str, wait: float) -> AbstractContextManager[bool] | None:
        return None if self._locks is None else self._locks.held(owner, session_id, wait)

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with reading(self._engine) as connection:
            if connection.dialect.name == "postgresql":
                # Several statements of one answer must see one state, as they do on SQLite.
                connection.execution_options(isolation_level="REPEATABLE READ")
            yield connection

    def _find(self, connection: Connection, query: MessageQuery, columns: tuple[str, ...]) -> list[Any]:
        """Return rows of the messages meant, oldest first; the first column is ``seq``."""
        split = list(parts(connection, query, self._form))
        if len(split) == 1:
            return self._find_part(connection, split[0], columns)
        most = None if query.limit is None else query.limit + query.offset
        rows = [
            row for part in split for row in self._find_part(connection, part.replace(limit=most, offset=0), columns)
        ]
        return query.window(sorted(rows, key=lambda row: row[0]))

    def _find_part(self, connection: Connection, query: MessageQuery, columns: tuple[str, ...]) -> list[Any]:
        where = conditions(connection, query, self._form)
        if query.words():
            found = find_texts(connection, query, where, self._form, self._index)
            return _by_seq(connection, found, columns)
        forward = query.after is not None
        rows = select_rows(connection, columns, where, forward=forward, limit=query.limit, offset=query.offset)
        return rows if forward else rows[::-1]


def _by_seq(connection: Connection, seqs: Sequence[int], columns: tuple[str, ...]) -> list[Any]:
    """Return the rows with these numbers, oldest first."""
    rows: list[Any] = []
    for start in range(0, len(seqs), _MOST):
        rows += select_rows(connection, columns, {"seqs": seqs[start : start + _MOST]}, forward=True)
    return rows
