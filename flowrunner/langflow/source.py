"""The common form of data read from Langflow, whatever its release or source."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Protocol

from flowrunner.memory.message import Message, make_properties, parse_timestamp

#: The member of a flow under which the name of its project is kept.
PROJECT = "project"


@dataclass(frozen=True, slots=True)
class FoundFlow:
    """A flow: its user, the name of its project, and its members as the API shows them."""

    user: str
    project: str | None
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class FoundMessage:
    """A message and its user; ``user`` is empty where nothing says whose it is."""

    user: str
    message: Message


@dataclass(frozen=True, slots=True)
class FoundVariable:
    """A variable; ``value`` is None where it was not given or cannot be decrypted."""

    user: str
    name: str
    type: str
    value: str | None
    default_fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FoundKey:
    """An API key that counts there: its user, its name and its id, never its text."""

    user: str
    name: str
    id: str


class Source(Protocol):
    """A Langflow server that is read. ``notes`` are sentences on what is left out, complete when all was read."""

    notes: list[str]

    def users(self) -> list[str]: ...
    def flows(self) -> Iterator[FoundFlow]: ...
    def count_messages(self) -> int: ...
    def messages(self) -> Iterator[FoundMessage]: ...
    def variables(self) -> Iterator[FoundVariable]: ...
    def api_keys(self) -> Iterator[FoundKey]: ...
    def close(self) -> None: ...


def read_message(row: Mapping[str, Any]) -> Message:
    """Return a message out of a row of any release: columns that it lacks are as in a fresh message.

    :raises ValueError: for a row without a timestamp or an id that can be read.
    """
    flow_id = read_id(row.get("flow_id"))
    metadata = _object(row.get("session_metadata"))
    run_id = read_id(row.get("run_id")) or read_id((metadata or {}).get("graph_run_id"))
    sender = _text(row.get("sender"))
    properties = _object(row.get("properties"))
    category = _text(row.get("category")) or "message"
    message_id = read_id(row.get("id"))
    if message_id is None:
        raise ValueError("it has no id")
    return Message(
        id=message_id,
        text=_text(row.get("text")),
        sender=sender or "Machine",
        sender_name=_text(row.get("sender_name")) or sender or "Machine",
        # Langflow gives a session that nobody names the flow's id.
        session_id=_text(row.get("session_id")) or flow_id or message_id,
        context_id=row.get("context_id") if isinstance(row.get("context_id"), str) else "",
        timestamp=read_moment(row.get("timestamp")),
        flow_id=flow_id,
        run_id=run_id,
        files=tuple(file for file in _list(row.get("files")) if isinstance(file, str)),
        properties=make_properties(**properties) if properties else make_properties(),
        content_blocks=tuple(block for block in _list(row.get("content_blocks")) if isinstance(block, dict)),
        category=category,
        error=bool(row["error"]) if row.get("error") is not None else category == "error",
        edit=bool(row.get("edit")),
        session_metadata=metadata,
    )


def read_id(value: Any) -> str | None:
    """Return an id in the usual spelling: SQLite keeps it without hyphens, PostgreSQL gives an object."""
    if value is None or value == "":
        return None
    try:
        return str(uuid.UUID(str(value)))
    except ValueError:
        return str(value)


def read_json(value: Any) -> Any:
    """Return a JSON column: some drivers give it read, others as text, and some releases wrote a text in a text."""
    for _ in range(2):
        if not isinstance(value, (str, bytes)):
            return value
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    return value


def read_moment(value: Any) -> datetime:
    """Return a moment of a column; one without a zone is UTC.

    :raises ValueError: if it is none.
    """
    if isinstance(value, datetime):
        return value.replace(tzinfo=timezone.utc) if value.tzinfo is None else value.astimezone(timezone.utc)
    if isinstance(value, (int, float)):
        return datetime.fromtimestamp(value, timezone.utc)
    if not isinstance(value, str):
        raise ValueError("it has no timestamp")
    return parse_timestamp(value)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)


def _object(value: Any) -> dict[str, Any] | None:
    found = read_json(value)
    return found if isinstance(found, dict) else None


def _list(value: Any) -> list[Any]:
    found = read_json(value)
    return found if isinstance(found, list) else []
