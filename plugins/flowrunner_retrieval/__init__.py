"""Retrieval: documents, splitters, embeddings, and the vector store ``local``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from flowrunner import Component, Setting, Settings, hookimpl

from .databases.component import SqlDatabase
from .documents.directory import Directory
from .documents.file import File
from .documents.to_data import CsvToData, JsonToData
from .embeddings.components import EMBEDDING_TYPES, TextEmbedder
from .splitters.split_text import SPLITTERS
from .stores.knowledge import KnowledgeIngestion, KnowledgeRetrieval
from .stores.lookup import AstraLookup
from .stores.names import STORE_TYPES

if TYPE_CHECKING:
    from flowrunner import DatabaseSchema, VectorStore


COMPONENTS: Final[tuple[type[Component], ...]] = (
    File,
    Directory,
    CsvToData,
    JsonToData,
    *SPLITTERS,
    *EMBEDDING_TYPES,
    TextEmbedder,
    *STORE_TYPES,
    AstraLookup,
    KnowledgeIngestion,
    KnowledgeRetrieval,
    SqlDatabase,
)


def _from_one(value: Any) -> int:
    number = int(value)
    if number < 1:
        raise ValueError("must be a whole number, 1 or more")
    return number


LOCAL_SETTINGS: Final = (
    Setting(
        "LOCAL_VECTORS_MB",
        512,
        "megabytes of memory that the vector store local uses to cache vectors",
        _from_one,
    ),
)


def _seconds(value: Any) -> float:
    number = float(value)
    if not 0 < number <= 86_400:
        raise ValueError("must be a number of seconds, more than 0")
    return number


def _truth(value: Any) -> bool:
    word = str(value).strip().lower()
    if word not in ("1", "true", "yes", "on", "0", "false", "no", "off"):
        raise ValueError("must be true or false")
    return word in ("1", "true", "yes", "on")


def _words(value: Any) -> tuple[str, ...]:
    parts = value.split(",") if isinstance(value, str) else [value] if isinstance(value, Path) else list(value)
    return tuple(str(part).strip() for part in parts if str(part).strip())


SETTINGS: Final = (
    Setting("DOCUMENT_FOLDERS", (), "folders that flows may read files from; default: none", _words),
    Setting(
        "EMBEDDING",
        "",
        "default provider:model, such as openai:text-embedding-3-small or local, for components that name no"
        " embedding model",
    ),
    Setting(
        "EMBEDDING_FORCE", False, "use FLOWRUNNER_EMBEDDING for every component, overriding what the flow names", _truth
    ),
    Setting(
        "LOCAL_EMBEDDINGS",
        None,
        "GGUF file of the embedding model for the provider local; default: the chat model",
        lambda value: Path(value).expanduser().absolute(),
    ),
    Setting("SQL_ROWS", 10_000, "maximum rows an SQL query of a flow may return", _from_one),
    Setting("SQL_SECONDS", 30.0, "time limit in seconds of an SQL query of a flow", _seconds),
    Setting(
        "SQL_WRITES",
        False,
        "let SQL queries of all flows change their databases; by default only where the flow's author allows it",
        _truth,
    ),
)


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


@hookimpl
def register_settings(register: Callable[[Setting], None]) -> None:
    """Declare what an operator may say about documents and embeddings."""
    for setting in SETTINGS:
        register(setting)


@hookimpl
def register_components(register: Callable[[type[Component]], None]) -> None:
    """Offer all components."""
    for component in COMPONENTS:
        register(component)
