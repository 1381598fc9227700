"""Answers are kept for a time; runs may be on an engine of their own, and may begin again."""

from alembic import op
from sqlalchemy import Boolean, Column, Index, Integer, String, Text, text

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

MOMENT = String(27)


def upgrade() -> None:
    """Add the table of answers, and what is known of runs on engines."""
    op.add_column("flowrunner_runs", Column("engine", String(40)))
    op.add_column("flowrunner_runs", Column("sent_at", MOMENT))
    op.add_column("flowrunner_runs", Column("again", Boolean))
    op.add_column("flowrunner_runs", Column("begun", Integer, nullable=False, server_default=text("0")))
    op.create_table(
        "flowrunner_answers",
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
    )
    op.create_index(
        "flowrunner_answers_open",
        "flowrunner_answers",
        ["process"],
        sqlite_where=text("state = 'open'"),
        postgresql_where=text("state = 'open'"),
    )


def downgrade() -> None:
    """Drop the answers that are kept, and what is known of engines."""
    op.drop_table("flowrunner_answers")
    with op.batch_alter_table("flowrunner_runs") as table:
        for name in ("engine", "sent_at", "again", "begun"):
            table.drop_column(name)
