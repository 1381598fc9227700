"""The tables of conversations, and their schema versions."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Integer, MetaData, Table, Text

from flowrunner import DatabaseSchema

metadata: Final = MetaData()

#: A number that grows with every row and is never given twice, not even after a deletion.
SEQUENCE: Final = BigInteger().with_variant(Integer, "sqlite")

#: ``seq`` is the order of append. ``session_key`` stands for the session id, see ``rows.session_key``;
#: a long id is kept whole beside it. ``timestamp`` counts microseconds since 1970 in UTC. ``files``,
#: ``properties``, ``content_blocks`` and ``session_metadata`` are JSON.
messages: Final = Table(
    "flowrunner_messages",
    metadata,
    Column("seq", SEQUENCE, primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False, unique=True),
    Column("owner", Text, nullable=False),
    Column("session_key", Text, nullable=False),
    Column("long_session_id", Text),
    Column("flow_id", Text),
    Column("run_id", Text),
    Column("context_id", Text),
    Column("sender", Text, nullable=False),
    Column("sender_name", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("timestamp", BigInteger, nullable=False),
    Column("files", Text, nullable=False),
    Column("properties", Text, nullable=False),
    Column("content_blocks", Text, nullable=False),
    Column("category", Text, nullable=False),
    Column("error", Boolean, nullable=False),
    Column("edit", Boolean, nullable=False),
    Column("duration", Float),
    Column("session_metadata", Text),
    # The session comes before the owner, so that whoever sees every owner finds a session fast too.
    Index("ix_flowrunner_messages_session", "session_key", "owner", "seq"),
    Index("ix_flowrunner_messages_flow", "flow_id", "owner", "seq"),
    Index("ix_flowrunner_messages_owner", "owner", "seq"),
    sqlite_autoincrement=True,
)

#: What the list of sessions shows, one row per session and flow, kept in the same transactions as
#: the messages. ``flow_key`` is ``=`` and the flow id, or ``-`` for messages without one.
sessions: Final = Table(
    "flowrunner_sessions",
    metadata,
    Column("session_key", Text, primary_key=True),
    Column("owner", Text, primary_key=True),
    Column("flow_key", Text, primary_key=True),
    Column("long_session_id", Text),
    Column("count", BigInteger, nullable=False),
    Column("first_seq", BigInteger, nullable=False),
    Column("first_at", BigInteger, nullable=False),
    Column("last_seq", BigInteger, nullable=False),
    Column("last_at", BigInteger, nullable=False),
    Index("ix_flowrunner_sessions_owner", "owner", "last_seq"),
    Index("ix_flowrunner_sessions_flow", "flow_key", "owner", "last_seq"),
    sqlite_with_rowid=False,
)

#: How far the search index reaches: it knows all messages up to this ``seq``. No row: there is no index.
search_state: Final = Table(
    "flowrunner_search_state",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("indexed_to", BigInteger, nullable=False),
)

schema: Final = DatabaseSchema(
    name="conversations",
    metadata=metadata,
    migrations=Path(__file__).parent / "migrations",
    head="0002",
    version_table="flowrunner_memory_version",
)
