"""Documents, splitters, embeddings and vector stores: what retrieval needs, and the vector store ``local``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from flowrunner import Setting, Settings, hookimpl

if TYPE_CHECKING:
    from flowrunner import DatabaseSchema, VectorStore


def _megabytes(value: Any) -> int:
    number = int(value)
    if number < 1:
        raise ValueError("want a whole number from 1")
    return number


LOCAL_SETTINGS: Final = (
    Setting("LOCAL_VECTORS_MB", 512, "megabytes of memory in which the vector store local keeps vectors for searching",
            _megabytes),
)  # fmt: skip


def _open_local(app: Any, settings: Settings) -> VectorStore:
    # SQLAlchemy takes long to import, and few servers search.
    from flowrunner import database_engine

    from .local_store.store import LocalVectors

    return LocalVectors(database_engine(app, settings), room=settings.local_vectors_mb * 1024 * 1024)


def _local_schema() -> DatabaseSchema:
    from .local_store.tables import schema

    return schema


@hookimpl
def register_vector_stores(register: Callable[..., None]) -> None:
    """Offer the store that needs nothing but the app's own database."""
    register("local", _open_local, settings=LOCAL_SETTINGS, schema=_local_schema)
