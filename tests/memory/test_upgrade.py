"""Databases that an older version has written.

``tests/fixtures/memory_0001.db`` holds the first schema: 17 messages of two owners, in three sessions
and two flows each, with awkward session ids and one deleted message.
"""

from __future__ import annotations

import dataclasses
import shutil
import sqlite3
from pathlib import Path

import pytest
from flowrunner_sqlite.backend import SqliteMemory
from flowrunner_sqlite.rows import COLUMNS, RowFormat
from flowrunner_sqlite.tables import messages, metadata, schema
from sqlalchemy import URL, insert, inspect

from flowrunner import EVERY_OWNER, MessageQuery, SchemaOutdated, SessionQuery
from flowrunner.store.engine import make_engine, reading, writing
from flowrunner.testing.memory.samples import BOB, NOON, append_texts, fetch_texts

OLD_FILE = Path(__file__).parents[1] / "fixtures" / "memory_0001.db"


def old_rows() -> list[tuple]:
    connection = sqlite3.connect(OLD_FILE)
    rows = connection.execute(f"SELECT seq, {', '.join(COLUMNS)} FROM flowrunner_messages ORDER BY seq").fetchall()
    connection.close()
    return rows


@pytest.fixture
def sqlite_engine(tmp_path):
    path = tmp_path / "old.db"
    shutil.copy(OLD_FILE, path)
    engine = make_engine(URL.create("sqlite", database=str(path)))
    yield engine
    engine.dispose()


@pytest.fixture
def postgres_engine(postgres_server):
    postgres_server.execute("DROP DATABASE IF EXISTS old", "CREATE DATABASE old")
    engine = make_engine(postgres_server.url("old"))
    dataclasses.replace(schema, head="0001").upgrade(engine)
    old, new = RowFormat("sqlite"), RowFormat("postgresql")
    with writing(engine) as connection:
        for row in old_rows():
            values = dict(zip(COLUMNS, new.to_row(old.to_message(row)), strict=True))
            connection.execute(insert(messages).values(values))
    yield engine
    engine.dispose()


@pytest.fixture(params=["sqlite", "postgres"])
def engine(request):
    return request.getfixturevalue(f"{request.param}_engine")


def test_an_old_database_is_refused_with_the_command_to_type(engine):
    assert schema.current(engine) == "0001"
    with pytest.raises(SchemaOutdated, match="flowrunner db upgrade"):
        SqliteMemory(engine)


def test_an_upgrade_keeps_every_message(engine):
    before = [RowFormat("sqlite").to_message(row) for row in old_rows()]
    assert schema.upgrade(engine) == "0001"
    backend = SqliteMemory(engine)
    assert backend.fetch_messages(MessageQuery(owner=EVERY_OWNER)) == before
    assert len(before) == 17
    backend.close()


def test_an_upgrade_counts_the_sessions_that_are_there(engine):
    schema.upgrade(engine)
    backend = SqliteMemory(engine)
    found = backend.list_sessions(SessionQuery(owner=EVERY_OWNER))
    assert found == SessionQuery(owner=EVERY_OWNER).select(backend.fetch_messages(MessageQuery(owner=EVERY_OWNER)))
    assert [(s.owner, s.count, s.flow_ids) for s in found][-1] == ("ann", 2, ("f", "g"))
    backend.close()


def test_an_upgraded_database_goes_on(engine):
    schema.upgrade(engine)
    assert schema.upgrade(engine) == "0002"
    backend = SqliteMemory(engine)
    append_texts(backend, "new", owner=BOB, session_id="talk", timestamp=NOON)
    assert fetch_texts(backend, BOB, limit=1) == ["new"]
    assert backend.list_sessions(SessionQuery(owner=BOB, limit=1))[0].count == 4
    assert len(fetch_texts(backend, EVERY_OWNER, text="strasse")) == 16
    backend.close()


def test_upgrading_leads_to_the_same_tables_as_starting_afresh(engine):
    from alembic.autogenerate import compare_metadata
    from alembic.runtime.migration import MigrationContext

    schema.upgrade(engine)
    ours = {*metadata.tables, schema.version_table}
    with reading(engine) as connection:
        assert ours == set(inspect(connection).get_table_names()) - {"sqlite_sequence"}
        context = MigrationContext.configure(
            connection,
            opts={"include_name": lambda name, kind, parents: kind != "table" or name != schema.version_table},
        )
        assert compare_metadata(context, metadata) == []


def test_a_newer_database_is_refused(sqlite_engine):
    schema.upgrade(sqlite_engine)
    with writing(sqlite_engine) as connection:
        connection.exec_driver_sql(f"UPDATE {schema.version_table} SET version_num = '9999'")
    with pytest.raises(SchemaOutdated, match="newer"):
        SqliteMemory(sqlite_engine)
