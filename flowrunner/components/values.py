"""What components hand to each other besides plain data: tools, and the text of any value."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from flowrunner.memory.message import Message
from flowrunner.text.plain_values import as_json


@dataclass(frozen=True, slots=True)
class Tool:
    """Something that a model may call: a component in tool mode, or a function of a plugin.

    ``parameters`` is the JSON schema of the arguments; ``call(arguments)`` returns the result as
    data or text and raises for arguments that it cannot take.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]
    call: Callable[[Mapping[str, Any]], Any]
    vertex_id: str | None = None

    def answer(self, arguments: Mapping[str, Any]) -> str:
        """Call it, and return the result as a model reads it: a text as it is, anything else as JSON.

        Dates, decimal numbers and ids are text in it, and records have their members.
        """
        plain = as_json(self.call(arguments), Message, records=True)
        return plain if isinstance(plain, str) else _json(plain)


def text_of(value: Any) -> str:
    """Return the text of a value on an edge: of a message its text, of a list its lines, else JSON or ``str``."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, Message):
        return value.text
    if isinstance(value, Mapping):
        inner = value.get("text")
        return inner if isinstance(inner, str) else _json(value)
    if isinstance(value, Iterable) and not isinstance(value, (bytes, bytearray)):
        return "\n".join(text_of(item) for item in value)
    return str(value)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
