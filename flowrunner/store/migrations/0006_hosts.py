"""What several hosts share: small files, streams that can be taken up again, and by which key secrets are closed."""

from alembic import op
from sqlalchemy import BigInteger, Boolean, Column, Integer, LargeBinary, String, Text

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "flowrunner_facts", Column("name", String(64), primary_key=True), Column("value", Text, nullable=False)
    )
    op.create_table(
        "flowrunner_file_contents",
        Column("file_id", String(36), primary_key=True),
        Column("content", LargeBinary, nullable=False),
    )
    op.create_table(
        "flowrunner_streams",
        Column("run_id", String(36), primary_key=True),
        Column("owner", String(255), nullable=False),
        Column("flow_id", String(36), nullable=False),
        Column("ended", Boolean, nullable=False),
        Column("beat", BigInteger, nullable=False),
        Column("read", BigInteger, nullable=False),
    )
    op.create_table(
        "flowrunner_stream_events",
        Column("run_id", String(36), primary_key=True),
        Column("number", Integer, primary_key=True, autoincrement=False),
        Column("event", Text, nullable=False),
        Column("data", Text, nullable=False),
    )


def downgrade() -> None:
    """Drop the tables; files that are kept in the database are lost."""
    for name in ("stream_events", "streams", "file_contents", "facts"):
        op.drop_table(f"flowrunner_{name}")
