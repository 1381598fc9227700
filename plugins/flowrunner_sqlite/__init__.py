"""The memory backend ``sqlite``: conversations in a SQLite file, or in PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flowrunner import Settings, hookimpl

if TYPE_CHECKING:
    from flowrunner import DatabaseSchema
    from flowrunner_sqlite.backend import SqliteMemory


def _open(app: Any, settings: Settings) -> SqliteMemory:
    # SQLAlchemy takes long to import, and only the chosen backend needs it.
    from flowrunner import database_engine
    from flowrunner_sqlite.backend import SqliteMemory

    return SqliteMemory(database_engine(app, settings))


def _schema() -> DatabaseSchema:
    from flowrunner_sqlite.tables import schema

    return schema


@hookimpl
def register_memory_backends(register: Callable[..., None]) -> None:
    register("sqlite", _open, schema=_schema)
