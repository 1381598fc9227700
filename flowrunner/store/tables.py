"""The tables of the app's data, prefixed with ``flowrunner_`` to share a database with a site."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from flowrunner.store.schema import DatabaseSchema

metadata: Final = MetaData(info={"bind_key": "flowrunner"})

#: Times are stored as text of fixed length, so that text order is time order in every database.
MOMENT: Final = String(27)

#: An increasing number for each row.
SEQUENCE: Final = BigInteger().with_variant(Integer, "sqlite")

api_keys: Final = Table(
    "flowrunner_api_keys",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("digest", String(64), nullable=False, unique=True),
    Column("hint", String(16), nullable=False),
    Column("owner", String(36), nullable=False, index=True),
    Column("user_name", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("admin", Boolean, nullable=False),
    Column("read_only", Boolean, nullable=False),
    Column("flows", Text),
    Column("created_at", MOMENT, nullable=False),
    Column("last_used_at", MOMENT),
)

# Ids of flows are unique per owner, so that errors do not reveal the ids of other owners.
flows: Final = Table(
    "flowrunner_flows",
    metadata,
    Column("owner", String(255), primary_key=True),
    Column("id", String(36), primary_key=True),
    Column("name", Text, nullable=False),
    Column("endpoint_name", Text),
    Column("description", Text),
    Column("is_component", Boolean, nullable=False),
    Column("data", Text),
    Column("extra", Text, nullable=False),
    Column("version", String(36), nullable=False),
    Column("created_at", MOMENT, nullable=False),
    Column("updated_at", MOMENT, nullable=False),
    UniqueConstraint("owner", "name", name="flowrunner_flows_name"),
    UniqueConstraint("owner", "endpoint_name", name="flowrunner_flows_endpoint_name"),
    Index("flowrunner_flows_id", "id"),
)

projects: Final = Table(
    "flowrunner_projects",
    metadata,
    Column("owner", String(255), primary_key=True),
    Column("id", String(36), primary_key=True),
    Column("name", Text, nullable=False),
    Column("description", Text),
    Column("created_at", MOMENT, nullable=False),
    UniqueConstraint("owner", "name", name="flowrunner_projects_name"),
)

variables: Final = Table(
    "flowrunner_variables",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("owner", String(255), nullable=False),
    Column("name", Text, nullable=False),
    Column("type", String(20), nullable=False),
    Column("value", Text),
    Column("default_fields", Text, nullable=False),
    Column("created_at", MOMENT, nullable=False),
    Column("updated_at", MOMENT, nullable=False),
    UniqueConstraint("owner", "name", name="flowrunner_variables_name"),
)

# What ``sqlite_where`` leaves out of an index is left out on PostgreSQL, too; see :mod:`flowrunner.store.schema`.

# ``ended_at`` is empty until the run ends; a partial index covers such runs. ``engine`` is the engine that starts the
# run, None for the pool of its process, and ``sent_at`` the time when the run was sent to it. ``again`` allows several
# starts, and ``begun`` counts them. ``vertices`` has one line per step, see :mod:`flowrunner.store.steps`; ``steps`` is
# their number, ``cleared`` the number of first steps that no longer count as builds.
runs: Final = Table(
    "flowrunner_runs",
    metadata,
    Column("seq", SEQUENCE, primary_key=True, autoincrement=True),
    Column("id", String(36), nullable=False),
    Column("owner", String(255), nullable=False),
    Column("flow_id", String(36), nullable=False),
    Column("session_id", Text),
    Column("status", String(10), nullable=False),
    Column("kind", String(10), nullable=False),
    Column("process", String(36)),
    Column("lane", String(32)),
    Column("accepted_at", MOMENT, nullable=False),
    Column("started_at", MOMENT),
    Column("ended_at", MOMENT),
    Column("stop", Text),
    Column("error", Text),
    Column("request", Text),
    Column("record", Text),
    Column("engine", String(40)),
    Column("sent_at", MOMENT),
    Column("again", Boolean),
    Column("begun", Integer, nullable=False, server_default=text("0")),
    Column("steps", Integer, nullable=False, server_default="0"),
    Column("cleared", Integer, nullable=False, server_default="0"),
    Column("vertices", Text),
    Index("flowrunner_runs_id", "id", unique=True),
    Index("flowrunner_runs_owner", "owner", "seq"),
    Index("flowrunner_runs_steps", "flow_id", "owner", "seq", "steps", sqlite_where=text("steps > 0")),
    Index("flowrunner_runs_open", "process", sqlite_where=text("ended_at IS NULL")),
)

# The processes that runs belong to. ``beat`` grows while one has runs; ``place`` names the lock file by which
# The processes that runs belong to. ``beat`` grows while a process has runs; ``place`` is the lock file by which others
# on its host see immediately that it has ended.
processes: Final = Table(
    "flowrunner_processes",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("place", String(64), nullable=False),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("beat", BigInteger, nullable=False),
    Column("started_at", MOMENT, nullable=False),
)

# Answers that are kept for a time: of requests with an Idempotency-Key, which have their row from their acceptance on,
# and of runs that nobody waited for. ``request`` is the digest of what was asked; the answer itself is encrypted.
answers: Final = Table(
    "flowrunner_answers",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("owner", String(255), nullable=False),
    Column("run_id", String(36), nullable=False),
    Column("request", String(64)),
    Column("process", String(36)),
    Column("state", String(10), nullable=False),
    Column("begun", Boolean, nullable=False),
    Column("answer", Text),
    Column("size", Integer, nullable=False),
    Column("at", MOMENT, nullable=False),
    Column("expires_at", MOMENT, nullable=False),
    Index("flowrunner_answers_run", "run_id"),
    Index("flowrunner_answers_owner", "owner", "at"),
    Index("flowrunner_answers_expires", "expires_at"),
    Index("flowrunner_answers_open", "process", sqlite_where=text("state = 'open'")),
)

files: Final = Table(
    "flowrunner_files",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("owner", String(255), nullable=False),
    Column("flow_id", String(36)),
    Column("name", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("stored_name", String(80), nullable=False),
    Column("media_type", Text),
    Column("size", BigInteger, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("created_at", MOMENT, nullable=False),
    UniqueConstraint("owner", "path", name="flowrunner_files_path"),
    Index("flowrunner_files_flow", "owner", "flow_id"),
)

# The contents of small files, if several hosts share the database.
file_contents: Final = Table(
    "flowrunner_file_contents",
    metadata,
    Column("file_id", String(36), primary_key=True),
    Column("content", LargeBinary, nullable=False),
)

# Streams that any host can resume. ``beat`` grows while the run is alive, ``read`` while a client reads.
streams: Final = Table(
    "flowrunner_streams",
    metadata,
    Column("run_id", String(36), primary_key=True),
    Column("owner", String(255), nullable=False),
    Column("flow_id", String(36), nullable=False),
    Column("ended", Boolean, nullable=False),
    Column("beat", BigInteger, nullable=False),
    Column("read", BigInteger, nullable=False),
)

stream_events: Final = Table(
    "flowrunner_stream_events",
    metadata,
    Column("run_id", String(36), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("event", Text, nullable=False),
    Column("data", Text, nullable=False),
)

# Requests counted against a limit, per time window. ``name`` is a digest.
counts: Final = Table(
    "flowrunner_counts",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("hits", Integer, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Index("flowrunner_counts_expires", "expires_at"),
)

# Places of limits on concurrent runs, each held by a run of a process; those of dead processes do not count.
places: Final = Table(
    "flowrunner_places",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("run_id", String(36), primary_key=True),
    Column("process", String(36), nullable=False),
    Index("flowrunner_places_run", "run_id"),
    Index("flowrunner_places_process", "process"),
)

# What people call their sessions. ``session`` is the digest of the id, which may have any length; ``session_id`` is the
# id as JSON, since it may hold what no database keeps in a text; ``folded`` is what a search compares.
titles: Final = Table(
    "flowrunner_titles",
    metadata,
    Column("owner", String(255), primary_key=True),
    Column("session", String(64), primary_key=True),
    Column("session_id", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("folded", Text, nullable=False),
)

# Facts about the whole database, such as the fingerprint of its key.
facts: Final = Table(
    "flowrunner_facts",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)

#: The schema of these tables.
SCHEMA: Final = DatabaseSchema(
    name="flowrunner",
    metadata=metadata,
    migrations=Path(__file__).parent / "migrations",
    head="0008",
    version_table="flowrunner_version",
)
