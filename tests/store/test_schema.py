"""Tables made by many at once, refused when outdated, upgraded on demand."""

import dataclasses

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flowrunner_retrieval.local_store.tables import schema as local_vectors
from flowrunner_sqlite.tables import schema as sqlite_messages
from sqlalchemy import Column, Integer, MetaData, Table, Text, create_engine, inspect, text

from flowrunner.errors import SchemaOutdated
from flowrunner.store.engine import reading, writing
from flowrunner.store.schema import DatabaseSchema
from flowrunner.store.tables import SCHEMA, metadata

FIRST = """
from alembic import op
from sqlalchemy import Column, Integer
revision, down_revision = "0001", None
def upgrade():
    op.create_table("things", Column("id", Integer, primary_key=True))
"""
SECOND = """
from alembic import op
from sqlalchemy import Column, Text
revision, down_revision = "0002", "0001"
def upgrade():
    with op.batch_alter_table("things") as table:
        table.add_column(Column("name", Text))
    op.execute("UPDATE things SET name = 'old'")
"""


@pytest.fixture
def things(tmp_path):
    """A schema of two revisions."""
    folder = tmp_path / "migrations"
    folder.mkdir()
    (folder / "0001_first.py").write_text(FIRST)
    (folder / "0002_second.py").write_text(SECOND)
    tables = MetaData()
    Table("things", tables, Column("id", Integer, primary_key=True), Column("name", Text))
    return DatabaseSchema("things", tables, folder, "0002", "things_version")


def test_a_fresh_database_gets_the_newest_tables(bare_engine):
    assert SCHEMA.current(bare_engine) is None
    SCHEMA.ensure(bare_engine)
    SCHEMA.ensure(bare_engine)
    assert SCHEMA.current(bare_engine) == SCHEMA.head
    assert set(metadata.tables) | {"flowrunner_version"} <= set(inspect(bare_engine).get_table_names())


def test_the_scripts_lead_to_the_same_tables(bare_engine):
    assert SCHEMA.upgrade(bare_engine) is None
    SCHEMA.ensure(bare_engine)
    with bare_engine.connect() as connection:
        options = {"include_name": lambda name, kind, parents: kind != "table" or name in metadata.tables}
        assert compare_metadata(MigrationContext.configure(connection, opts=options), metadata) == []


@pytest.mark.parametrize("schema", [SCHEMA, sqlite_messages, local_vectors], ids=lambda schema: schema.name)
def test_the_tables_of_a_fresh_file_are_those_of_the_metadata(tmp_path, schema):
    def described(name, make):
        engine = create_engine(f"sqlite:///{tmp_path / name}")
        make(engine)
        with engine.connect() as connection:
            found = connection.execute(text("SELECT name, sql FROM sqlite_master ORDER BY name")).all()
        engine.dispose()
        return {row.name: (row.sql or "").replace(" IF NOT EXISTS", "").strip() for row in found}

    def plainly(engine):
        schema.metadata.create_all(engine)
        schema.versions().create(engine)

    made = described("ours.db", schema.ensure)
    assert {schema.version_table, *schema.metadata.tables} <= set(made)
    assert made == described("plain.db", plainly)


def test_the_head_is_that_of_the_scripts():
    scripts = ScriptDirectory(str(SCHEMA.migrations), version_locations=[str(SCHEMA.migrations)])
    assert scripts.get_current_head() == SCHEMA.head == SCHEMA.revisions()[-1]


def test_an_older_database_is_refused_with_the_command_and_upgraded_with_its_data(bare_engine, things):
    older = dataclasses.replace(things, head="0001")
    older.upgrade(bare_engine)
    with writing(bare_engine) as connection:
        connection.execute(text("INSERT INTO things (id) VALUES (7)"))
    with pytest.raises(SchemaOutdated, match="flowrunner db upgrade"):
        things.ensure(bare_engine)
    assert things.upgrade(bare_engine) == "0001"
    assert things.upgrade(bare_engine) == "0002"
    things.ensure(bare_engine)
    with reading(bare_engine) as connection:
        assert connection.execute(text("SELECT id, name FROM things")).all() == [(7, "old")]


def test_a_failing_upgrade_changes_nothing(bare_engine, things):
    dataclasses.replace(things, head="0001").upgrade(bare_engine)
    (things.migrations / "0002_second.py").write_text(SECOND + "    raise ZeroDivisionError\n")
    with pytest.raises(ZeroDivisionError):
        things.upgrade(bare_engine)
    assert things.current(bare_engine) == "0001"
    assert [column["name"] for column in inspect(bare_engine).get_columns("things")] == ["id"]


def test_a_newer_database_is_refused(bare_engine, things):
    things.ensure(bare_engine)
    with writing(bare_engine) as connection:
        connection.execute(text("UPDATE things_version SET version_num = '0099'"))
    for attempt in (things.ensure, things.upgrade):
        with pytest.raises(SchemaOutdated, match="newer version"):
            attempt(bare_engine)


def test_a_hosts_version_table_is_never_touched(bare_engine, things):
    with writing(bare_engine) as connection:
        connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32))"))
        connection.execute(text("INSERT INTO alembic_version VALUES ('host')"))
    dataclasses.replace(things, head="0001").upgrade(bare_engine)
    things.upgrade(bare_engine)
    with reading(bare_engine) as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).all() == [("host",)]


def test_workers_that_start_at_once_make_the_tables_once(run_python, tmp_path):
    code = """
import sys
from flowrunner.settings import SETTINGS, read_settings
from flowrunner.store.engine import close_database, database_engine
from flowrunner.store.tables import SCHEMA
settings = read_settings(SETTINGS, config={"FLOWRUNNER_DATA_DIR": sys.argv[1]}, environ={})
engine = database_engine(None, settings)
SCHEMA.ensure(engine)
print(SCHEMA.current(engine), "alembic" in sys.modules)
close_database(None, settings)
"""
    assert run_python(code, tmp_path, times=4) == [f"{SCHEMA.head} False"] * 4


def test_an_index_leaves_out_the_same_rows_on_every_database(bare_engine):
    SCHEMA.ensure(bare_engine)
    asked = {
        "sqlite": "SELECT sql FROM sqlite_master WHERE name = 'flowrunner_runs_open'",
        "postgresql": "SELECT indexdef FROM pg_indexes WHERE indexname = 'flowrunner_runs_open'",
    }
    with reading(bare_engine) as connection:
        found = connection.execute(text(asked[bare_engine.dialect.name])).scalar()
    assert "WHERE" in found and "ended_at IS NULL" in found
