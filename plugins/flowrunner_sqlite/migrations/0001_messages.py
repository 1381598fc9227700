"""The messages."""

from alembic import op
from sqlalchemy import BigInteger, Boolean, Column, Float, Integer, Text

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SEQUENCE = BigInteger().with_variant(Integer, "sqlite")


def upgrade() -> None:
    """Make the table and its indexes."""
    op.create_table(
        "flowrunner_messages",
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
        sqlite_autoincrement=True,
    )
    for name, columns in (
        ("session", ["session_key", "owner", "seq"]),
        ("flow", ["flow_id", "owner", "seq"]),
        ("owner", ["owner", "seq"]),
    ):
        op.create_index(f"ix_flowrunner_messages_{name}", "flowrunner_messages", columns)
