"""flowrunner: component graphs inside Flask, with pluggable conversation memory.

Plugins may use what is in ``__all__``; everything else may change at any time.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from flowrunner.addresses import AddressRefused, checked_address
from flowrunner.components.cancelling import CancelToken
from flowrunner.components.context import ConversationMemory, RunContext, Source
from flowrunner.components.contract import Component
from flowrunner.components.ports import Input, Output
from flowrunner.components.values import Tool, text_of
from flowrunner.errors import (
    BadRequest,
    ChunkInvalid,
    ComponentFailed,
    Conflict,
    FlowInvalid,
    FlowNotFound,
    FlowRunnerError,
    MemoryFailed,
    MessageInvalid,
    NotAllowed,
    NotFound,
    NotReady,
    PluginFailed,
    RequestInvalid,
    RunCancelled,
    SchemaOutdated,
    SessionBusy,
    SessionRequired,
    SettingsInvalid,
    VectorStoreFailed,
)
from flowrunner.hookspecs import hookimpl
from flowrunner.identity import Identity
from flowrunner.memory import (
    EVERY_OWNER,
    MemoryBackend,
    MessageChanges,
    MessageQuery,
    Owner,
    OwnerMemory,
    SessionQuery,
    SessionSummary,
    fold,
)
from flowrunner.memory.forks import after_fork
from flowrunner.memory.message import (
    Message,
    error_message,
    make_content_block,
    make_properties,
    new_id,
    private_copy,
    utc_now,
)
from flowrunner.memory.query import cursor_gone, summarise
from flowrunner.outgoing import Destination, destination, refuse_secrets, telling_headers
from flowrunner.session import Session, resolve_session_id
from flowrunner.settings.setting import Setting, Settings
from flowrunner.text.budget import TextBudget
from flowrunner.text.json_text import json_text
from flowrunner.vectors import (
    Chunk,
    ChunkQuery,
    CollectionSummary,
    DocumentSummary,
    Hit,
    OwnerVectors,
    VectorStore,
)
from flowrunner.word import Given, Word

if TYPE_CHECKING:
    from flowrunner.app import create_app
    from flowrunner.extension import FlowRunner
    from flowrunner.runs.engines import RunEngine
    from flowrunner.site.current import current_runner, get_runner
    from flowrunner.store.engine import database_engine, reading, writing
    from flowrunner.store.outage import outage_reason
    from flowrunner.store.schema import DatabaseSchema
    from flowrunner.store.shared_commits import Cargo, cargo_for
    from flowrunner.store.write_turn import taking_turns

__version__ = "0.1.0"

__all__ = [
    "EVERY_OWNER",
    "AddressRefused",
    "BadRequest",
    "CancelToken",
    "Cargo",
    "Chunk",
    "ChunkInvalid",
    "ChunkQuery",
    "CollectionSummary",
    "Component",
    "ComponentFailed",
    "Conflict",
    "ConversationMemory",
    "DatabaseSchema",
    "Destination",
    "DocumentSummary",
    "FlowInvalid",
    "FlowNotFound",
    "FlowRunner",
    "FlowRunnerError",
    "Given",
    "Hit",
    "Identity",
    "Input",
    "MemoryBackend",
    "MemoryFailed",
    "Message",
    "MessageChanges",
    "MessageInvalid",
    "MessageQuery",
    "NotAllowed",
    "NotFound",
    "NotReady",
    "Output",
    "Owner",
    "OwnerMemory",
    "OwnerVectors",
    "PluginFailed",
    "RequestInvalid",
    "RunCancelled",
    "RunContext",
    "RunEngine",
    "SchemaOutdated",
    "Session",
    "SessionBusy",
    "SessionQuery",
    "SessionRequired",
    "SessionSummary",
    "Setting",
    "Settings",
    "SettingsInvalid",
    "Source",
    "TextBudget",
    "Tool",
    "VectorStore",
    "VectorStoreFailed",
    "Word",
    "__version__",
    "after_fork",
    "cargo_for",
    "checked_address",
    "current_runner",
    "create_app",
    "cursor_gone",
    "database_engine",
    "destination",
    "error_message",
    "fold",
    "get_runner",
    "hookimpl",
    "json_text",
    "make_content_block",
    "make_properties",
    "new_id",
    "outage_reason",
    "private_copy",
    "reading",
    "refuse_secrets",
    "resolve_session_id",
    "summarise",
    "taking_turns",
    "telling_headers",
    "text_of",
    "utc_now",
    "writing",
]


#: What is imported on first use, since database and Flask support are slow to import, and where each lies.
_ON_FIRST_USE: Final = {
    "Cargo": "flowrunner.store.shared_commits",
    "DatabaseSchema": "flowrunner.store.schema",
    "FlowRunner": "flowrunner.extension",
    "RunEngine": "flowrunner.runs.engines",
    "cargo_for": "flowrunner.store.shared_commits",
    "create_app": "flowrunner.app",
    "current_runner": "flowrunner.site.current",
    "database_engine": "flowrunner.store.engine",
    "get_runner": "flowrunner.site.current",
    "outage_reason": "flowrunner.store.outage",
    "reading": "flowrunner.store.engine",
    "taking_turns": "flowrunner.store.write_turn",
    "writing": "flowrunner.store.engine",
}


def __getattr__(name: str) -> Any:
    """Import on first use what is slow to import."""
    if name not in _ON_FIRST_USE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_ON_FIRST_USE[name]), name)
