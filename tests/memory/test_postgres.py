"""The whole contract on the backend ``sqlite`` with a PostgreSQL URL, on a server that the tests bring up."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import pytest
from flowrunner_sqlite.backend import SqliteMemory
from sqlalchemy import Engine, make_url

from flowrunner.store.engine import make_engine
from flowrunner.testing import MemoryBackendContract
from flowrunner.testing.memory.samples import append_texts, fetch_texts, make_message
from tests.memory.closing import broken_writes

VARIABLE = "FLOWRUNNER_TEST_POSTGRES_URL"

EMPTY_AGAIN = (
    "TRUNCATE flowrunner_messages, flowrunner_sessions, flowrunner_search_state",
    "DROP TABLE IF EXISTS flowrunner_search_texts",
)


@cache
def engine_of_this_process() -> Engine:
    """Return one engine for all tests: a new one asks the server a lot before its first query."""
    return make_engine(make_url(os.environ[VARIABLE]))


@pytest.fixture(scope="module")
def database(postgres_server):
    """Make the tables once: that takes far longer than to empty them before each test."""
    url = postgres_server.url()
    # Processes that the kit starts find the server by the environment.
    os.environ[VARIABLE] = url.render_as_string(hide_password=False)
    yield engine_of_this_process()
    engine_of_this_process().dispose()
    engine_of_this_process.cache_clear()
    del os.environ[VARIABLE]


class TestPostgres(MemoryBackendContract):
    def open_backend(self, folder: Path) -> SqliteMemory:
        return SqliteMemory(engine_of_this_process())

    def break_writes(self, backend: SqliteMemory):
        return broken_writes(backend, engine_of_this_process())

    def crash_store(self, folder: Path) -> None:
        self.server.crash()

    @pytest.fixture
    def folder(self, tmp_path, database, postgres_server):
        self.server = postgres_server
        SqliteMemory(database).close()
        with database.begin() as connection:
            for statement in EMPTY_AGAIN:
                connection.exec_driver_sql(statement)
        return tmp_path


@pytest.fixture
def backends(database):
    """Open two backends, each with connections of its own, as on two hosts."""
    engines = [make_engine(database.url) for _ in range(2)]
    opened = [SqliteMemory(engine) for engine in engines]
    yield opened
    for backend, engine in zip(opened, engines, strict=True):
        backend.close()
        engine.dispose()


def test_a_session_is_locked_across_hosts(backends):
    one, other = backends
    with one.session_lock("ann", "talk", 0) as got:
        assert got
        with other.session_lock("ann", "talk", 0.05) as second:
            assert not second
        for owner, session in (("bob", "talk"), ("ann", "other"), ("annt", "alk")):
            with other.session_lock(owner, session, 0) as free:
                assert free
    with other.session_lock("ann", "talk", 0) as got:
        assert got


def test_a_lock_that_is_waited_for_comes(backends):
    one, other = backends
    order = []
    with ThreadPoolExecutor(1) as pool:
        with one.session_lock("ann", "talk", 0):
            waiting = pool.submit(lambda: _hold(other, order))
            order.append("first")
        assert waiting.result(30)
    assert order == ["first", "second"]


def _hold(backend, order):
    with backend.session_lock("ann", "talk", 30) as got:
        order.append("second")
        return got


def test_a_dead_holder_frees_the_session(backends, database):
    one, other = backends
    with one.session_lock("ann", "talk", 0) as got:
        assert got
        pid = one._locks._connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()
        with database.begin() as connection:
            connection.exec_driver_sql(f"SELECT pg_terminate_backend({pid})")
        with other.session_lock("ann", "talk", 30) as freed:
            assert freed


def test_a_connection_that_was_lost_between_two_locks_is_made_anew(backends, database):
    one, _ = backends
    with one.session_lock("ann", "talk", 0) as got:
        assert got
    pid = one._locks._connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()
    with database.begin() as connection:
        connection.exec_driver_sql(f"SELECT pg_terminate_backend({pid})")
    with one.session_lock("ann", "talk", 0) as got:
        assert got


def test_many_locks_need_one_connection(backends):
    one, _ = backends
    with ExitStack() as held:
        assert all(held.enter_context(one.session_lock("ann", str(n), 0)) for n in range(200))
        append_texts(one, "work goes on", session_id="1")


def test_a_server_that_was_restarted_is_found_again(backends, database):
    one, _ = backends
    append_texts(one, "before", owner="restart")
    with database.begin() as connection:
        connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    append_texts(one, "after", owner="restart")
    assert fetch_texts(one, "restart") == ["before", "after"]


def test_a_database_without_trigrams_is_searched_all_the_same(postgres_server):
    postgres_server.execute("CREATE ROLE guest LOGIN", "CREATE DATABASE bare")
    postgres_server.execute("GRANT ALL ON SCHEMA public TO guest", database="bare")
    engine = make_engine(postgres_server.url("bare", "guest"))
    backend = SqliteMemory(engine)
    backend.append_messages([make_message(f"message {n}") for n in range(3000)])
    assert fetch_texts(backend, text="GE 2999") == ["message 2999"]
    assert not backend._index._available
    backend.close()
    engine.dispose()
