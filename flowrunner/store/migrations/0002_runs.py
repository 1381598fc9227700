"""Runs are recorded when they are accepted, with the process that they belong to."""

from alembic import op
from sqlalchemy import BigInteger, Column, Index, Integer, String, Text, text

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

MOMENT = String(27)
SEQUENCE = BigInteger().with_variant(Integer, "sqlite")


def upgrade() -> None:
    """Make the table of runs anew, and that of processes. Runs that were never ended count as lost."""
    for index in ("flowrunner_runs_id", "flowrunner_runs_owner"):
        op.drop_index(index, "flowrunner_runs")
    op.rename_table("flowrunner_runs", "flowrunner_runs_before")
    op.create_table(
        "flowrunner_runs",
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
        Index("flowrunner_runs_id", "id", unique=True),
        Index("flowrunner_runs_owner", "owner", "seq"),
    )
    op.create_index(
        "flowrunner_runs_open",
        "flowrunner_runs",
        ["process"],
        sqlite_where=text("ended_at IS NULL"),
        postgresql_where=text("ended_at IS NULL"),
    )
    op.execute(
        "INSERT INTO flowrunner_runs"
        " (id, owner, flow_id, session_id, status, kind, accepted_at, started_at, ended_at, record)"
        " SELECT id, owner, flow_id, session_id, CASE status WHEN 'running' THEN 'lost' ELSE status END, 'run',"
        " started_at, started_at, started_at, record FROM flowrunner_runs_before"
        " WHERE seq IN (SELECT max(seq) FROM flowrunner_runs_before GROUP BY id) ORDER BY seq"
    )
    op.drop_table("flowrunner_runs_before")
    op.create_table(
        "flowrunner_processes",
        Column("id", String(36), primary_key=True),
        Column("place", String(64), nullable=False),
        Column("host", Text, nullable=False),
        Column("pid", Integer, nullable=False),
        Column("beat", BigInteger, nullable=False),
        Column("started_at", MOMENT, nullable=False),
    )


def downgrade() -> None:
    """Drop what is known of processes and of runs that have not ended."""
    op.drop_table("flowrunner_processes")
    op.execute("DELETE FROM flowrunner_runs WHERE ended_at IS NULL OR record IS NULL")
    op.drop_index("flowrunner_runs_open", "flowrunner_runs")
    with op.batch_alter_table("flowrunner_runs") as table:
        for name in ("kind", "process", "lane", "accepted_at", "ended_at", "stop", "error", "request"):
            table.drop_column(name)
