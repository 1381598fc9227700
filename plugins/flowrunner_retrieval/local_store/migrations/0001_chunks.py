"""Collections and their chunks."""

from alembic import op
from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    Text,
    UniqueConstraint,
)

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SEQUENCE = BigInteger().with_variant(Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "flowrunner_collections",
        Column("id", SEQUENCE, primary_key=True, autoincrement=True),
        Column("owner", Text, nullable=False),
        Column("name", Text, nullable=False),
        Column("dimensions", Integer, nullable=False),
        Column("version", BigInteger, nullable=False),
        Column("rewritten", BigInteger, nullable=False),
        UniqueConstraint("owner", "name", name="uq_flowrunner_collections_owner_name"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "flowrunner_chunks",
        Column("seq", SEQUENCE, primary_key=True, autoincrement=True),
        Column("collection_id", BigInteger, ForeignKey("flowrunner_collections.id"), nullable=False),
        Column("id", Text, nullable=False),
        Column("document", Text, nullable=False),
        Column("text", Text, nullable=False),
        Column("metadata", Text, nullable=False),
        Column("vector", LargeBinary, nullable=False),
        UniqueConstraint("collection_id", "id", name="uq_flowrunner_chunks_collection_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_flowrunner_chunks_document", "flowrunner_chunks", ["collection_id", "document"])
