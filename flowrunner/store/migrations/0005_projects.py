"""Projects: the names under which owners keep their flows together."""

from alembic import op
from sqlalchemy import Column, String, Text, UniqueConstraint

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

MOMENT = String(27)


def upgrade() -> None:
    """Make the table of projects; an owner without a row has the usual one."""
    op.create_table(
        "flowrunner_projects",
        Column("owner", String(255), primary_key=True),
        Column("id", String(36), primary_key=True),
        Column("name", Text, nullable=False),
        Column("description", Text),
        Column("created_at", MOMENT, nullable=False),
        UniqueConstraint("owner", "name", name="flowrunner_projects_name"),
    )


def downgrade() -> None:
    """Drop the names of projects; flows remember which they were in."""
    op.drop_table("flowrunner_projects")
