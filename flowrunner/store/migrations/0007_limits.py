"""What counts requests and runs for all processes: windows of time, and places that runs hold."""

from alembic import op
from sqlalchemy import BigInteger, Column, Integer, String

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "flowrunner_counts",
        Column("name", String(64), primary_key=True),
        Column("number", BigInteger, primary_key=True, autoincrement=False),
        Column("hits", Integer, nullable=False),
        Column("expires_at", BigInteger, nullable=False),
    )
    op.create_index("flowrunner_counts_expires", "flowrunner_counts", ["expires_at"])
    op.create_table(
        "flowrunner_places",
        Column("name", String(64), primary_key=True),
        Column("run_id", String(36), primary_key=True),
        Column("process", String(36), nullable=False),
    )
    op.create_index("flowrunner_places_run", "flowrunner_places", ["run_id"])
    op.create_index("flowrunner_places_process", "flowrunner_places", ["process"])


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("flowrunner_places")
    op.drop_table("flowrunner_counts")
