"""What the vertices of a run did stands in the row of the run."""

import json
from itertools import groupby

from alembic import op
from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, String, Text, text

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

MOMENT = String(27)
SEQUENCE = BigInteger().with_variant(Integer, "sqlite")


def upgrade() -> None:
    """Move the rows of vertices into those of their runs; vertices whose run is not kept any more go."""
    op.add_column("flowrunner_runs", Column("steps", Integer, nullable=False, server_default="0"))
    op.add_column("flowrunner_runs", Column("cleared", Integer, nullable=False, server_default="0"))
    op.add_column("flowrunner_runs", Column("vertices", Text))
    connection = op.get_bind()
    rows = connection.execute(
        text(
            "SELECT run_id, seq, vertex_id, status, at, record, build FROM flowrunner_vertex_runs ORDER BY run_id, seq"
        )
    ).all()
    put = text("UPDATE flowrunner_runs SET steps = :steps, cleared = :cleared, vertices = :vertices WHERE id = :id")
    for run_id, group in groupby(rows, key=lambda row: row.run_id):
        found = list(group)
        lines = [f'[{row.seq},{row.vertex_id},"{row.status}","{row.at}"]\t{row.record}' for row in found]
        cleared = sum(not row.build for row in found)
        connection.execute(put, {"id": run_id, "steps": len(found), "cleared": cleared, "vertices": "\n".join(lines)})
    op.drop_table("flowrunner_vertex_runs")
    op.create_index(
        "flowrunner_runs_steps",
        "flowrunner_runs",
        ["flow_id", "owner", "seq", "steps"],
        sqlite_where=text("steps > 0"),
        postgresql_where=text("steps > 0"),
    )


def downgrade() -> None:
    """Give each vertex a row of its own again."""
    op.create_table(
        "flowrunner_vertex_runs",
        Column("seq", SEQUENCE, primary_key=True, autoincrement=True),
        Column("run_id", String(36), nullable=False),
        Column("owner", String(255), nullable=False),
        Column("flow_id", String(36), nullable=False),
        Column("vertex_id", Text, nullable=False),
        Column("status", String(10), nullable=False),
        Column("at", MOMENT, nullable=False),
        Column("record", Text, nullable=False),
        Column("build", Boolean, nullable=False),
        Index("flowrunner_vertex_runs_flow", "flow_id", "owner", "seq"),
    )
    connection = op.get_bind()
    rows = connection.execute(
        text("SELECT id, owner, flow_id, cleared, vertices FROM flowrunner_runs WHERE steps > 0 ORDER BY seq")
    ).all()
    put = text(
        "INSERT INTO flowrunner_vertex_runs (run_id, owner, flow_id, vertex_id, status, at, record, build)"
        " VALUES (:run_id, :owner, :flow_id, :vertex_id, :status, :at, :record, :build)"
    )
    for row in rows:
        for index, line in enumerate(row.vertices.split("\n")):
            head, _, record = line.partition("\t")
            _, vertex_id, status, at = json.loads(head)
            values = {"vertex_id": json.dumps(vertex_id), "status": status, "at": at, "record": record}
            build = index >= row.cleared
            connection.execute(
                put, {"run_id": row.id, "owner": row.owner, "flow_id": row.flow_id, "build": build, **values}
            )
    op.drop_index("flowrunner_runs_steps", "flowrunner_runs")
    with op.batch_alter_table("flowrunner_runs") as table:
        for name in ("steps", "cleared", "vertices"):
            table.drop_column(name)
