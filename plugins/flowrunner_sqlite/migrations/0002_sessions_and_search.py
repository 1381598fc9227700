"""A row per session and flow, so that the list costs the same at any size; the reach of the search index."""

from alembic import op
from sqlalchemy import BigInteger, Column, Integer, Text, text

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

COUNT_WHAT_IS_THERE = """
INSERT INTO flowrunner_sessions
    (session_key, owner, flow_key, long_session_id, count, first_seq, first_at, last_seq, last_at)
SELECT ends.session_key, ends.owner, ends.flow_key, first.long_session_id,
       ends.number, ends.first_seq, first.timestamp, ends.last_seq, last.timestamp
FROM (
    SELECT session_key, owner, COALESCE('=' || flow_id, '-') AS flow_key,
           COUNT(*) AS number, MIN(seq) AS first_seq, MAX(seq) AS last_seq
    FROM flowrunner_messages
    GROUP BY session_key, owner, COALESCE('=' || flow_id, '-')
) AS ends
JOIN flowrunner_messages AS first ON first.seq = ends.first_seq
JOIN flowrunner_messages AS last ON last.seq = ends.last_seq
"""


def upgrade() -> None:
    """Make the tables and count the messages that are there."""
    op.create_table(
        "flowrunner_sessions",
        Column("session_key", Text, primary_key=True),
        Column("owner", Text, primary_key=True),
        Column("flow_key", Text, primary_key=True),
        Column("long_session_id", Text),
        Column("count", BigInteger, nullable=False),
        Column("first_seq", BigInteger, nullable=False),
        Column("first_at", BigInteger, nullable=False),
        Column("last_seq", BigInteger, nullable=False),
        Column("last_at", BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_flowrunner_sessions_owner", "flowrunner_sessions", ["owner", "last_seq"])
    op.create_index("ix_flowrunner_sessions_flow", "flowrunner_sessions", ["flow_key", "owner", "last_seq"])
    op.create_table(
        "flowrunner_search_state",
        Column("id", Integer, primary_key=True, autoincrement=False),
        Column("indexed_to", BigInteger, nullable=False),
    )
    op.get_bind().execute(text(COUNT_WHAT_IS_THERE))
