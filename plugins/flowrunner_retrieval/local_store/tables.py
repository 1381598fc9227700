"""The tables of the vector store ``local``."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

from flowrunner import DatabaseSchema

metadata: Final = MetaData()

#: A number that grows with every row and is never given twice, not even after a deletion.
SEQUENCE: Final = BigInteger().with_variant(Integer, "sqlite")

#: ``version`` grows with every change; ``rewritten`` is the version of the last one that changed or removed a chunk.
collections: Final = Table(
    "flowrunner_collections",
    metadata,
    Column("id", SEQUENCE, primary_key=True, autoincrement=True),
    Column("owner", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("dimensions", Integer, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("rewritten", BigInteger, nullable=False),
    UniqueConstraint("owner", "name", name="uq_flowrunner_collections_owner_name"),
    sqlite_autoincrement=True,
)

#: ``seq`` is the order of insertion. ``metadata`` is JSON, ``vector`` single-precision floats, least byte first.
chunks: Final = Table(
    "flowrunner_chunks",
    metadata,
    Column("seq", SEQUENCE, primary_key=True, autoincrement=True),
    Column("collection_id", BigInteger, ForeignKey("flowrunner_collections.id"), nullable=False),
    Column("id", Text, nullable=False),
    Column("document", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("metadata", Text, nullable=False),
    Column("vector", LargeBinary, nullable=False),
    UniqueConstraint("collection_id", "id", name="uq_flowrunner_chunks_collection_id"),
    Index("ix_flowrunner_chunks_document", "collection_id", "document"),
    sqlite_autoincrement=True,
)

schema: Final = DatabaseSchema(
    name="vectors",
    metadata=metadata,
    migrations=Path(__file__).parent / "migrations",
    head="0001",
    version_table="flowrunner_vectors_version",
)
