"""The input and output of splitters: texts with metadata."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from flowrunner import Message, json_text, text_of

Row = dict[str, Any]


def rows_of(value: Any, text_key: str = "text") -> list[tuple[str, Row]]:
    """Return the texts of whatever arrives, each with what else its object has.

    An object or a row of a table gives the text under ``text_key``; one without such a text is
    written as lines of names and values.
    """
    if value is None or value == "":
        return []
    if isinstance(value, Message):
        more = {"session_id": value.session_id} if value.session_id else {}
        return [(value.text, {name: one for name, one in more.items() if one})]
    if isinstance(value, Mapping):
        return [_row(value, text_key)]
    if isinstance(value, str):
        return [(value, {})]
    if isinstance(value, Iterable):
        return [found for item in value for found in rows_of(item, text_key)]
    return [(text_of(value), {})]


def _row(value: Mapping[str, Any], text_key: str) -> tuple[str, Row]:
    key = text_key or "text"
    inner = value.get("data") if key not in value else None
    if isinstance(inner, Mapping) and key in inner:
        value = inner
    if key in value:
        text = value[key]
        return text if isinstance(text, str) else text_of(text), {k: v for k, v in value.items() if k != key}
    lines = [f"{name}: {one if isinstance(one, (str, int, float)) else json_text(one)}" for name, one in value.items()]
    return "\n".join(lines), dict(value)


def unescaped(text: str) -> str:
    """Return a separator as it is meant: a form has no way to type a line break but ``\\n``."""
    return text.replace("\\n", "\n").replace("\\t", "\t").replace("\\r", "\r").replace("/n", "\n").replace("/t", "\t")
