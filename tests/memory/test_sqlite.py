"""The whole contract on the backend ``sqlite``, and what only it promises."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from types import SimpleNamespace

import pytest
from flowrunner_sqlite.rows import COLUMNS, RowFormat, session_key
from sqlalchemy import URL, event
from sqlalchemy.dialects.mysql import pymysql

from flowrunner import EVERY_OWNER, MemoryFailed, MessageQuery, SessionQuery, SettingsInvalid
from flowrunner.store.engine import make_engine
from flowrunner.testing import MemoryBackendContract
from flowrunner.testing.memory.samples import AWKWARD_IDS, append_texts, fetch_texts, make_full_message, make_message
from flowrunner.testing.memory.threads import run_in_threads
from tests.memory.closing import ClosingMemory, broken_writes


def open_file(path: Path) -> ClosingMemory:
    return ClosingMemory(make_engine(URL.create("sqlite", database=str(path))))


class TestSqlite(MemoryBackendContract):
    def open_backend(self, folder: Path) -> ClosingMemory:
        return open_file(folder / "messages.db")

    def break_writes(self, backend: ClosingMemory):
        return broken_writes(backend, backend._engine)


@pytest.fixture
def backend(tmp_path):
    backend = open_file(tmp_path / "messages.db")
    yield backend
    backend.close()


def plans(backend, path, call):
    """Return how SQLite goes about every SELECT that a call makes."""
    statements = []
    event.listen(backend._engine, "before_cursor_execute", lambda *a: statements.append((a[2], a[3])))
    call()
    connection = sqlite3.connect(path)
    found = [
        row[3]
        for sql, parameters in statements
        if sql.startswith("SELECT")
        for row in connection.execute("EXPLAIN QUERY PLAN " + sql, parameters)
    ]
    connection.close()
    return found


@pytest.mark.parametrize(
    "query",
    [
        MessageQuery(owner="ann", session_id="talk", limit=20),
        MessageQuery(owner=EVERY_OWNER, session_id="talk"),
        MessageQuery(owner="ann", flow_id="f", limit=20),
        MessageQuery(owner=EVERY_OWNER, flow_id="f", limit=20),
        MessageQuery(owner="ann", limit=20),
        MessageQuery(owner=EVERY_OWNER, limit=20),
        MessageQuery(owner="ann", ids=("1", "2")),
        MessageQuery(owner="ann", session_id="talk", before="1", limit=20),
        MessageQuery(owner="ann", flow_id="f", after="1", limit=20),
    ],
    ids=repr,
)
def test_every_window_is_read_off_an_index(backend, tmp_path, query):
    append_texts(backend, "a", id="1", flow_id="f")
    append_texts(backend, "b", id="2", flow_id="f", owner="bob")
    found = plans(backend, tmp_path / "messages.db", lambda: backend.fetch_messages(query))
    ordered_by_primary_key = query.owner is EVERY_OWNER and query.flow_id is None and query.session_id is None
    for step in found:
        assert "SEARCH" in step or ordered_by_primary_key or "TEMP B-TREE" in step, found
    if query.session_id is None and query.ids is None:
        assert not any("TEMP B-TREE" in step for step in found), found


def test_a_session_of_a_large_flow_is_read_off_the_index_of_sessions(backend, tmp_path):
    append_texts(backend, "a", flow_id="f")
    for call in (
        lambda: backend.fetch_messages(MessageQuery(owner="ann", session_id="talk", flow_id="f", limit=20)),
        lambda: backend.delete_messages(MessageQuery(owner="ann", session_id="talk", flow_id="f")),
    ):
        found = [step for step in plans(backend, tmp_path / "messages.db", call) if " flowrunner_messages " in step]
        assert found
        assert all("ix_flowrunner_messages_session" in step or "seq=" in step for step in found), found


@pytest.mark.parametrize(
    "query",
    [
        SessionQuery(owner="ann", limit=20),
        SessionQuery(owner=EVERY_OWNER, limit=20),
        SessionQuery(owner="ann", flow_id="f", limit=20),
        SessionQuery(owner=EVERY_OWNER, flow_id="f", limit=20),
        SessionQuery(owner="ann", after="talk", limit=20),
    ],
    ids=repr,
)
def test_the_list_of_sessions_is_read_off_an_index(backend, tmp_path, query):
    append_texts(backend, "a", flow_id="f")
    found = plans(backend, tmp_path / "messages.db", lambda: backend.list_sessions(query))
    assert not any("SCAN flowrunner_messages" in step or "TEMP B-TREE FOR ORDER" in step for step in found), found


def test_reading_never_waits_for_who_writes(backend, tmp_path):
    backend.append_messages([make_message(f"message {n}") for n in range(2500)])
    assert fetch_texts(backend, text="message 2499") == ["message 2499"]
    writer = sqlite3.connect(tmp_path / "messages.db", isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    assert fetch_texts(backend, limit=1) == fetch_texts(backend, text="message 2499") == ["message 2499"]
    assert backend.list_sessions(SessionQuery(owner="ann"))[0].count == 2500
    writer.execute("ROLLBACK")
    writer.close()


def test_every_commit_waits_for_the_disk(backend):
    with backend._engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2


def test_many_writers_share_commits(backend):
    commits = []
    write = backend._writer._write
    backend._writer._write = lambda rows, *more: commits.append(len(rows)) or write(rows, *more)
    run_in_threads(lambda thread: [append_texts(backend, "x") for _ in range(20)], 16)
    assert sum(commits) == 320
    assert len(commits) < 320


def test_a_full_database_loses_nothing_acknowledged(backend, tmp_path):
    stored = append_texts(backend, "kept")

    def limit(connection, record, proxy):
        connection.execute("PRAGMA max_page_count = 60")

    ClosingMemory.close(backend)
    event.listen(backend._engine, "checkout", limit)
    with pytest.raises(MemoryFailed, match="disk is full"):
        for n in range(100):
            stored += append_texts(backend, "x" * 10_000, id=str(n))
    event.remove(backend._engine, "checkout", limit)
    assert backend.fetch_messages(MessageQuery(owner="ann")) == stored
    ClosingMemory.close(backend)
    with backend._engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 100000")
    append_texts(backend, "goes on")
    assert fetch_texts(backend)[-1] == "goes on"


def test_an_error_never_shows_what_people_wrote(backend):
    with pytest.raises(MemoryFailed) as failure, broken_writes(backend, backend._engine):
        append_texts(backend, "a secret")
    assert "secret" not in str(failure.value)


def test_rows_have_their_values_in_the_order_of_the_columns():
    message = make_full_message(session_id="x" * 100)
    row = dict(zip(COLUMNS, RowFormat("sqlite").to_row(message), strict=True))
    for name in ("id", "owner", "flow_id", "run_id", "context_id", "sender", "sender_name", "text", "category"):
        assert row[name] == getattr(message, name)
    assert row["long_session_id"] == message.session_id


def test_no_two_session_ids_share_a_key():
    ids = [*AWKWARD_IDS.values(), "x" * 60, "x" * 61, "x" * 62]
    ids += [session_key("x" * 100), session_key(session_key("x" * 100))]
    assert len({session_key(i) for i in ids}) == len(ids)
    assert all(len(session_key(i).encode()) <= 240 for i in ids)


def test_the_search_index_narrows_and_an_append_does_not_wait_for_it(backend, tmp_path):
    many = [make_message(f"message {n}") for n in range(3000)]
    backend.append_messages(many)
    connection = sqlite3.connect(tmp_path / "messages.db")
    assert not connection.execute("SELECT * FROM flowrunner_search_state").fetchall()
    assert fetch_texts(backend, text="2999") == ["message 2999"]
    assert connection.execute("SELECT indexed_to FROM flowrunner_search_state").fetchall() == [(3000,)]
    rows = "SELECT count(*) FROM flowrunner_messages_fts WHERE flowrunner_messages_fts MATCH '\"999\"'"
    assert connection.execute(rows).fetchone() == (3,)
    connection.close()


def test_a_search_index_that_is_there_follows_appends(backend, tmp_path):
    for start in range(0, 12_000, 2000):
        backend.append_messages([make_message(f"message {start + n}") for n in range(2000)])
        if start == 2000:
            fetch_texts(backend, text="message 1", limit=1)
    connection = sqlite3.connect(tmp_path / "messages.db")
    assert connection.execute("SELECT indexed_to FROM flowrunner_search_state").fetchone() == (12_000,)
    connection.close()
    assert fetch_texts(backend, text="message 11999") == ["message 11999"]


def test_without_an_index_search_finds_the_same(backend, monkeypatch):
    def refuse(connection):
        connection.exec_driver_sql("CREATE VIRTUAL TABLE x USING no_such_module(a)")

    monkeypatch.setattr(backend._index._trigrams, "make", refuse)
    backend.append_messages([make_message(f"message {n}") for n in range(3000)])
    assert fetch_texts(backend, text="GE 2999") == ["message 2999"]
    assert fetch_texts(backend, text="MESSAGE 29", limit=1) == ["message 2999"]


def test_another_kind_of_database_is_refused():
    with pytest.raises(SettingsInvalid, match="not in mysql"):
        ClosingMemory(SimpleNamespace(dialect=pymysql.MySQLDialect_pymysql()))
