"""Convert between the types of values on edges: text, Data (an object), Table (rows)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from flowrunner import Message, text_of

from .tables import is_table, markdown_table

Data = dict[str, Any]
Table = list[Data]

#: Blanks in front of lines of JSON, at most.
_MOST_INDENT: Final = 10_000_000


def message_data(message: Message) -> Data:
    """Return the fields of a message as an object; whose it is stays out."""
    record = message.to_record()
    del record["owner"]
    return record


def as_text(value: Any) -> str:
    """Return a value as the text that a prompt or a text field shows.

    A message and an object with a ``text`` give that text, a table its Markdown, any other object JSON.
    """
    return markdown_table(value) if is_table(value) else text_of(value)


def as_data(value: Any) -> Data:
    """Return a value as one object: a text under ``text``, a table under ``results``."""
    if isinstance(value, Mapping):
        return dict(value)
    if value is None:
        return {}
    if is_table(value) or value == []:
        return {"results": [dict(row) for row in value]}
    return {"text": text_of(value)}


def as_table(value: Any) -> Table:
    """Return a value as rows.

    An object whose only member is a list of objects is that list; any other object is one row, and
    so is a text. A list gives a row for each of its items.
    """
    if isinstance(value, Mapping):
        only = next(iter(value.values())) if len(value) == 1 else None
        return [dict(row) for row in only] if only and is_table(only) else [dict(value)]
    if value is None:
        return []
    if isinstance(value, (list, tuple)):
        return [dict(item) if isinstance(item, Mapping) else as_data(item) for item in value]
    return [as_data(value)]


def json_text(value: Any, *, indent: int | None = 2) -> str:
    """Return a value as readable JSON; what JSON does not know appears as text.

    Where lines and indents would make it many times as long, it stands on one line.

    :raises ValueError: if it is nested too deeply to be written.
    """
    try:
        plain = json.dumps(value, ensure_ascii=False, default=text_of)
    except RecursionError:
        raise ValueError("the data is nested too deeply to be written as JSON") from None
    if indent is None or plain.count(",") * indent * _depth(value) > _MOST_INDENT:
        return plain
    try:
        return json.dumps(value, indent=indent, ensure_ascii=False, default=text_of)
    except RecursionError:
        return plain


def _depth(value: Any) -> int:
    """Return how many levels objects and lists nest, without recursion."""
    depth, level = 0, [value] if isinstance(value, (Mapping, list, tuple)) else []
    while level:
        depth += 1
        nodes = (node.values() if isinstance(node, Mapping) else node for node in level)
        level = [member for node in nodes for member in node if isinstance(member, (Mapping, list, tuple))]
    return depth


def shown_text(value: Any, *, clean: bool = True) -> str:
    """Return a value as a chat shows it: text as it is, an object as a block of JSON, rows as a Markdown table.

    :param clean: leave rows without any content out of a table.
    """
    if isinstance(value, Mapping):
        return f"```json\n{json_text(value)}\n```"
    if is_table(value):
        return markdown_table(value, clean=clean)
    if isinstance(value, (list, tuple)):
        return "\n".join(shown_text(item, clean=clean) for item in value)
    return text_of(value)
