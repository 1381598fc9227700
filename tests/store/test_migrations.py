"""Upgrades of the app's own database: what it holds stays, and is read as before."""

import dataclasses

import pytest
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from flowrunner.store.engine import reading, writing
from flowrunner.store.runrecords import RunRecords
from flowrunner.store.tables import SCHEMA

FLOW = "11111111-2222-4333-8444-555555555555"
RECORD = (
    '{"type":"T","name":"N","kind":null,"frozen":false,"error":null,"untaken":[],"seconds":0.5,'
    '"inputs":{"a":"tab\\t, line\\nend"},"outputs":{"text":{"value":"%s","kind":"text"}}}'
)
#: run, owner, vertex, status, text, whether it counts as a build: in the order in which they were written.
VERTICES = [
    ("r1", "ann", '"A-1"', "success", "one", False),
    ("r1", "ann", '"B \\"2\\""', "success", "two", False),
    ("r2", "ann", '"A-1"', "success", "three", True),
    ("r3", "bob", '"A-1"', "success", "his", True),
    ("r2", "ann", '"B \\"2\\""', "error", "four", True),
]


@pytest.fixture
def older(bare_engine):
    """A database in which each vertex of a run has a row of its own."""
    dataclasses.replace(SCHEMA, head="0003").upgrade(bare_engine)
    with writing(bare_engine) as connection:
        for run_id, owner in (("r1", "ann"), ("r2", "ann"), ("r3", "bob"), ("r4", "ann")):
            connection.execute(
                text(
                    "INSERT INTO flowrunner_runs (id, owner, flow_id, status, kind, accepted_at, ended_at)"
                    " VALUES (:id, :owner, :flow, 'success', 'run', '2026-01-01T00:00:00.000000Z', 'x')"
                ),
                {"id": run_id, "owner": owner, "flow": FLOW},
            )
        for n, (run_id, owner, vertex_id, status, said, build) in enumerate(VERTICES):
            connection.execute(
                text(
                    "INSERT INTO flowrunner_vertex_runs (run_id, owner, flow_id, vertex_id, status, at, record, build)"
                    " VALUES (:run, :owner, :flow, :vertex, :status, :at, :record, :build)"
                ),
                {
                    "run": run_id,
                    "owner": owner,
                    "flow": FLOW,
                    "vertex": vertex_id,
                    "status": status,
                    "at": f"2026-01-01T00:00:0{n}.000000Z",
                    "record": RECORD % said,
                    "build": build,
                },
            )
    return bare_engine


def test_rows_of_vertices_are_read_as_before_from_the_rows_of_their_runs(older):
    assert SCHEMA.upgrade(older) == "0003"
    SCHEMA.ensure(older)
    records = RunRecords(older, 50)
    page = records.transactions(FLOW, "ann")
    assert [(item["vertex_id"], item["status"], item["timestamp"][17:19]) for item in page["items"]] == [
        ('B "2"', "error", "04"),
        ("A-1", "success", "02"),
        ('B "2"', "success", "01"),
        ("A-1", "success", "00"),
    ]
    assert [item["outputs"] and item["outputs"]["text"]["message"] for item in page["items"]] == [
        None,
        "three",
        "two",
        "one",
    ]
    assert page["items"][1]["inputs"] == {"a": "tab\t, line\nend"}
    # What was deleted as a build stays deleted, and an id that was read before is the same.
    builds = records.builds(FLOW, "ann", every=True)
    assert {name: [build["job_id"] for build in found] for name, found in builds.items()} == {
        'B "2"': ["r2"],
        "A-1": ["r2"],
    }
    assert records.delete_builds(FLOW, "ann") == 2
    assert records.transactions(FLOW, "bob")["total"] == 1
    assert len(records.runs("ann")) == 3


def test_the_way_back_gives_each_vertex_its_row(older):
    with reading(older) as connection:
        before = _vertices(connection)
    SCHEMA.upgrade(older)
    _downgrade(older, "0003")
    with reading(older) as connection:
        assert "steps" not in {column["name"] for column in inspect(connection).get_columns("flowrunner_runs")}
        assert sorted(_vertices(connection)) == sorted(before)


def _vertices(connection):
    columns = "run_id, owner, flow_id, vertex_id, status, at, record, build"
    return [
        (*row[:7], bool(row[7])) for row in connection.execute(text(f"SELECT {columns} FROM flowrunner_vertex_runs"))
    ]


def _downgrade(engine, revision):
    scripts = ScriptDirectory(str(SCHEMA.migrations), version_locations=[str(SCHEMA.migrations)])
    steps = lambda found, context: scripts._downgrade_revs(revision, found)  # noqa: E731
    with writing(engine) as connection, EnvironmentContext(Config(), scripts, fn=steps) as environment:
        environment.configure(
            connection=connection,
            version_table=SCHEMA.version_table,
            render_as_batch=connection.dialect.name == "sqlite",
        )
        environment.run_migrations()
