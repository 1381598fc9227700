"""The whole contract on the vector store ``local`` in PostgreSQL, on a server that the tests bring up."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import pytest
from flowrunner_retrieval.local_store.store import LocalVectors
from sqlalchemy import make_url

from flowrunner.store.engine import make_engine
from flowrunner.testing import VectorStoreContract
from tests.installed import require
from tests.vectors.stores import broken_writes

require("numpy")

VARIABLE = "FLOWRUNNER_TEST_POSTGRES_URL"


@cache
def engine_of_this_process():
    return make_engine(make_url(os.environ[VARIABLE]))


@pytest.fixture(scope="module")
def database(postgres_server):
    # Processes that the kit starts find the server by the environment.
    os.environ[VARIABLE] = postgres_server.url().render_as_string(hide_password=False)
    yield engine_of_this_process()
    engine_of_this_process().dispose()
    engine_of_this_process.cache_clear()
    del os.environ[VARIABLE]


class TestPostgres(VectorStoreContract):
    def open_store(self, folder: Path) -> LocalVectors:
        return LocalVectors(engine_of_this_process())

    def break_writes(self, store):
        return broken_writes(engine_of_this_process())

    @pytest.fixture
    def folder(self, tmp_path, database):
        LocalVectors(database).close()
        with database.begin() as connection:
            connection.exec_driver_sql("TRUNCATE flowrunner_collections, flowrunner_chunks")
        return tmp_path
