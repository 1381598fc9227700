"""SQL queries of flows on a real PostgreSQL."""

from __future__ import annotations

import threading

import pytest
from flowrunner_retrieval.databases.database_access import DatabaseRefused
from flowrunner_retrieval.databases.execution import QueryFailed
from flowrunner_retrieval.databases.statements import QueryRefused

from flowrunner import CancelToken, RunCancelled
from tests.retrieval.test_sql import ask, context

pytest.importorskip("psycopg")


@pytest.fixture(scope="module")
def shop(postgres_server):
    """The address of a database, in a form that other tools write."""
    postgres_server.execute("CREATE DATABASE shop")
    postgres_server.execute(
        "CREATE TABLE people (name TEXT, age INT, born DATE, rate NUMERIC)",
        "INSERT INTO people VALUES ('Ann', 30, '1990-01-02', 1.5), ('Bob', 4, NULL, 12345678901234567890.5)",
        database="shop",
    )
    return f"postgresql+psycopg2://postgres@/shop?host={postgres_server.folder}"


def count(shop):
    return ask("SELECT count(*) AS n FROM people", shop)[0]["n"]


def test_what_a_cell_holds_is_bounded(shop):
    small = context(settings={"max_text": 10_000})
    for many in ("array_agg(repeat('x', 100))", "json_agg(repeat('x', 100))", "jsonb_object_agg(i, repeat('x', 100))"):
        with pytest.raises(ValueError, match="FLOWRUNNER_MAX_TEXT"):
            ask(f"SELECT {many} FROM generate_series(1, 1000) AS i", shop, small)
    with pytest.raises(QueryFailed, match="nested too deeply"):
        ask("SELECT (repeat('[', 3000) || repeat(']', 3000))::json", shop)


def test_a_query_gives_rows(shop):
    assert ask("SELECT * FROM people WHERE name LIKE '%n%' OR name = 'Bob' ORDER BY name;", shop) == [
        {"name": "Ann", "age": 30, "born": "1990-01-02", "rate": 1.5},
        {"name": "Bob", "age": 4, "born": None, "rate": "12345678901234567890.5"},
    ]
    assert ask("SELECT * FROM people WHERE false", shop) == []
    assert ask("SELECT '{\"a\": [1]}'::jsonb AS j, ARRAY[1, 2] AS l", shop) == [{"j": {"a": [1]}, "l": [1, 2]}]


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM people",
        "WITH gone AS (DELETE FROM people RETURNING *) SELECT * FROM gone",
        "SELECT 1; DELETE FROM people",
        "SELECT 1; COMMIT; DELETE FROM people",
        "COMMIT",
        "SET default_transaction_read_only = off",
        "EXPLAIN ANALYZE DELETE FROM people",
        "SELECT * INTO copied FROM people",
        "DO $$ BEGIN SET TRANSACTION READ WRITE; DELETE FROM people; END $$",
        "SELECT set_config('transaction_read_only', 'off', false), pg_catalog.lo_create(7)",
        "TRUNCATE people",
        "COPY people TO '/tmp/never.csv'",
        "SELECT setval('x', 1)",
    ],
)
def test_nothing_is_changed_unless_the_author_says_so(shop, query):
    with pytest.raises((QueryRefused, QueryFailed)):
        ask(query, shop)
    assert count(shop) == 2


def test_a_statement_cannot_make_its_transaction_one_that_writes(shop):
    with pytest.raises(QueryFailed):
        ask("SELECT set_config('transaction_read_only', 'off', true)", shop)


def test_the_author_may_let_it_be_changed(shop):
    assert ask("INSERT INTO people VALUES ('Cid', 1)", shop, read_only=False) == [{"rows_changed": 1}]
    assert count(shop) == 3
    assert ask("DELETE FROM people WHERE name = 'Cid' RETURNING name", shop, read_only=False) == [{"name": "Cid"}]
    assert count(shop) == 2


def test_rows_and_time_are_bounded(shop):
    few = context(settings={"sql_rows": 100})
    with pytest.raises(QueryFailed, match="more than 100 rows"):
        # Not in FROM, where the server would make all of them before it sent the first.
        ask("SELECT generate_series(1, 100000000)", shop, few)
    assert len(ask("SELECT generate_series(1, 100)", shop, few)) == 100
    with pytest.raises(QueryFailed, match="longer than 0.3 seconds"):
        ask("SELECT pg_sleep(60)", shop, context(settings={"sql_seconds": 0.3}))


def test_a_cancelled_run_ends_its_query(shop):
    token = CancelToken()
    threading.Timer(0.3, token.cancel).start()
    with pytest.raises(RunCancelled):
        ask("SELECT pg_sleep(60)", shop, context(cancelled=token))


def test_what_the_server_says_is_handed_on(shop):
    with pytest.raises(QueryFailed, match='relation "nothing" does not exist'):
        ask("SELECT * FROM nothing", shop)


def test_the_apps_own_database_is_never_asked(postgres_server):
    postgres_server.execute("CREATE DATABASE app")
    postgres_server.execute("CREATE SCHEMA s", "CREATE TABLE s.flowrunner_flows (a INT)", database="app")
    with pytest.raises(DatabaseRefused, match="own database"):
        ask("SELECT 1", f"postgresql://postgres@/app?host={postgres_server.folder}")
