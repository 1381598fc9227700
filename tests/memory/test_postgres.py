"""The whole contract on the backend ``sqlite`` with a PostgreSQL URL, on a server that the tests bring up."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import pytest
from flowrunner_sqlite.backend import SqliteMemory
from sqlalchemy import Engine, make_url

from flowrunner.store.engine import make_engine
from flowrunner.testing import MemoryBackendContract
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

    @pytest.fixture
    def folder(self, tmp_path, database):
        SqliteMemory(database).close()
        with database.begin() as connection:
            for statement in EMPTY_AGAIN:
                connection.exec_driver_sql(statement)
        return tmp_path
