"""Tables: lists of objects, and their text forms."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from flowrunner import text_of

#: A table of more cells is not written out.
MOST_CELLS: Final = 1_000_000


def is_table(value: Any) -> bool:
    """Return whether a value is a table: a list with at least one row, and nothing but objects in it."""
    return isinstance(value, (list, tuple)) and bool(value) and all(isinstance(row, Mapping) for row in value)


def columns_of(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the names of all columns, in the order in which they first appear."""
    return list(dict.fromkeys(str(name) for row in rows for name in row))


def markdown_table(rows: Sequence[Mapping[str, Any]], *, clean: bool = True) -> str:
    """Return rows as a Markdown table; columns of numbers are aligned right.

    :param clean: leave rows without any content out.
    :raises ValueError: if there are too many cells: rows that share no column have as many as rows times rows.
    """
    columns = columns_of(rows)
    if len(columns) * len(rows) > MOST_CELLS:
        raise ValueError(f"a table of {len(rows)} rows and {len(columns)} columns is too large to be written as text")
    lines = [[cell_text(row.get(name)) for name in columns] for row in rows]
    if clean:
        lines = [line for line in lines if any(line)]
    rule = ["---:" if _is_numeric(rows, name) else ":---" for name in columns]
    head = [_escape(name) for name in columns]
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, rule, *lines))


def cell_text(value: Any) -> str:
    """Return what a cell shows; line breaks and bars would break the table, so they are escaped."""
    if value is None:
        return ""
    if isinstance(value, (Mapping, list, tuple)):
        return _escape(json.dumps(value, ensure_ascii=False, default=text_of))
    text = text_of(value)
    return _escape(text) if text.strip() else ""


def _escape(text: str) -> str:
    return text.replace("|", "\\|").replace("\r\n", "\n").replace("\n", "<br>")


def _is_numeric(rows: Iterable[Mapping[str, Any]], name: str) -> bool:
    found = [row[name] for row in rows if row.get(name) is not None]
    return bool(found) and all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in found)
