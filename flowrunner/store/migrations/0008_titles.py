"""Titles that people give their sessions."""

from alembic import op
from sqlalchemy import Column, String, Text

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "flowrunner_titles",
        Column("owner", String(255), primary_key=True),
        Column("session", String(64), primary_key=True),
        Column("session_id", Text, nullable=False),
        Column("title", Text, nullable=False),
        Column("folded", Text, nullable=False),
    )


def downgrade() -> None:
    """Drop the table; the titles are lost."""
    op.drop_table("flowrunner_titles")
