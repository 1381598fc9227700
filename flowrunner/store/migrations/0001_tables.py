"""The first tables: keys, flows, variables, vertex runs, runs, files."""

from alembic import op
from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, String, Text, UniqueConstraint

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

MOMENT = String(27)
SEQUENCE = BigInteger().with_variant(Integer, "sqlite")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "flowrunner_api_keys",
        Column("id", String(36), primary_key=True),
        Column("digest", String(64), nullable=False, unique=True),
        Column("hint", String(16), nullable=False),
        Column("owner", String(36), nullable=False),
        Column("user_name", Text, nullable=False),
        Column("name", Text, nullable=False),
        Column("admin", Boolean, nullable=False),
        Column("read_only", Boolean, nullable=False),
        Column("flows", Text),
        Column("created_at", MOMENT, nullable=False),
        Column("last_used_at", MOMENT),
    )
    op.create_index("ix_flowrunner_api_keys_owner", "flowrunner_api_keys", ["owner"])
    op.create_table(
        "flowrunner_flows",
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
    op.create_table(
        "flowrunner_variables",
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
    op.create_table(
        "flowrunner_runs",
        Column("seq", SEQUENCE, primary_key=True, autoincrement=True),
        Column("id", String(36), nullable=False),
        Column("owner", String(255), nullable=False),
        Column("flow_id", String(36), nullable=False),
        Column("session_id", Text),
        Column("status", String(10), nullable=False),
        Column("started_at", MOMENT, nullable=False),
        Column("record", Text, nullable=False),
        Index("flowrunner_runs_id", "id"),
        Index("flowrunner_runs_owner", "owner", "seq"),
    )
    op.create_table(
        "flowrunner_files",
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


def downgrade() -> None:
    """Drop the tables and all that is in them."""
    for name in ("files", "runs", "vertex_runs", "variables", "flows", "api_keys"):
        op.drop_table(f"flowrunner_{name}")
