"""Tools, and the text of any value."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from flowrunner.memory.message import Message
from flowrunner.text.plain_values import as_json


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool that a model can call: a component in tool mode, or a function of a plugin.

    ``parameters`` is the JSON schema of the arguments. ``call(arguments)`` returns the result as data or text, and
    raises an exception for invalid arguments.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]
    call: Callable[[Mapping[str, Any]], Any]
    vertex_id: str | None = None

    def answer(self, arguments: Mapping[str, Any]) -> str:
        """Call the tool and return the result for a model: a text unchanged, anything else as JSON.

        In JSON, dates, decimal numbers and ids are text, and records are objects.
        """
        plain = as_json(self.call(arguments), Message, records=True)
        return plain if isinstance(plain, str) else _json(plain)


def text_of(value: Any) -> str:
    """Return the text of a value on an edge: the text of a message, the lines of a list, otherwise JSON or ``str``."""
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
