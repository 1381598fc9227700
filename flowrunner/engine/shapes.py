"""JSON shapes of values, as run answers, streams and build records show them (reference release 1.13)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from flowrunner.memory.message import Message
from flowrunner.text.json_text import json_text
from flowrunner.text.plain_values import as_json
from flowrunner.text.timestamps import timestamp_text


def message_fields(message: Message) -> dict[str, Any]:
    """Return the fields of a message as answers show them; ``id`` only if the message is stored."""
    fields: dict[str, Any] = {
        "timestamp": timestamp_text(message.timestamp),
        "sender": message.sender,
        "sender_name": message.sender_name,
        "session_id": message.session_id,
        "context_id": message.context_id,
        "text": message.text,
        "files": list(message.files),
        "error": message.error,
        "edit": message.edit,
        "properties": message.properties,
        "category": message.category,
        "content_blocks": list(message.content_blocks),
        "session_metadata": message.session_metadata,
        "flow_id": message.flow_id,
        "run_id": message.run_id,
        "duration": message.duration,
    }
    if message.id is not None:
        fields["id"] = message.id
    return fields


def message_row(message: Message) -> dict[str, Any]:
    """Return a message as lists show it (CONTRACT §5): ``files`` is JSON in a text, no run, no error flag."""
    row = message_fields(message)
    row["files"] = json_text(row["files"])
    for name in ("run_id", "error"):
        del row[name]
    return row


def message_json(message: Message, *, with_id: bool = False) -> dict[str, Any]:
    """Return a message as answers show it: its fields under ``data`` and again at the top level.

    :param with_id: include the id at the top level, as events of a stream do.
    """
    data = message_fields(message)
    top = dict(data)
    if not with_id:
        top.pop("id", None)
    return {"text_key": "text", "data": data, "default_value": "", **top}


def value_type(value: Any) -> str:
    """Return the name that answers use for the type of an output: text, object, array, ..."""
    if isinstance(value, (Message, str)):
        return "text"
    if isinstance(value, Mapping):
        return "object"
    if isinstance(value, (list, tuple)):
        return "array"
    return "unknown"


def value_json(value: Any, *, records: bool = False) -> Any:
    """Return a value on an edge as JSON: a message as its text, and an object that is not JSON as its type.

    Dates, ids and special number types become text; NaN and infinities become null; unpaired surrogates become
    question marks.

    :param records: also show the members of dataclasses, pydantic models and numpy arrays. Objects on edges may
        contain secrets, so use this only for what a tool returns to a model.
    :raises ValueError: if the value contains itself or is nested too deeply.
    """
    try:
        return as_json(value, Message, records=records)
    except RecursionError:
        raise ValueError("the value contains itself, or is nested too deeply to be shown as JSON") from None


def value_repr(value: Any) -> str:
    """Return a value as readable text: the text of a message, or else indented JSON."""
    shown = value_json(value)
    return shown if isinstance(shown, str) else json.dumps(shown, indent=4, ensure_ascii=False, default=str)
