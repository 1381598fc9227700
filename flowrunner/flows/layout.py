"""Format JSON for people: short values on one line, so that a diff shows what changed."""

from __future__ import annotations

import json
from typing import Any, Final

_WIDTH: Final = 100
_dump: Final = json.JSONEncoder(ensure_ascii=False).encode


def layout(value: Any) -> str:
    """Return a value as JSON text that ends in a newline."""
    return _laid_out(value, 0, 0) + "\n"


def _laid_out(value: Any, depth: int, used: int) -> str:
    """Return a value as text.

    :param used: how much of the line the key before it takes.
    """
    if not isinstance(value, (dict, list)) or not value:
        return _dump(value)
    if depth > 0 and (line := _one_line(value, _WIDTH - used - 2 * depth)) is not None:
        return line
    pad = "  " * (depth + 1)
    if isinstance(value, dict):
        inside = [f"{pad}{_dump(k)}: {_laid_out(v, depth + 1, len(_dump(k)) + 2)}" for k, v in value.items()]
    else:
        inside = [pad + _laid_out(v, depth + 1, 0) for v in value]
    brackets = "{}" if isinstance(value, dict) else "[]"
    return f"{brackets[0]}\n" + ",\n".join(inside) + f"\n{'  ' * depth}{brackets[1]}"


def _one_line(value: Any, room: int) -> str | None:
    """Return a value on one line, or None if it is longer than there is room, without writing it all."""
    if not _may_fit(value, room):
        return None
    line = _dump(value)
    return line if len(line) <= room else None


def _may_fit(value: Any, room: int) -> bool:
    waiting, seen = [value], 0
    while waiting:
        found = waiting.pop()
        if isinstance(found, dict):
            waiting.extend(found.values())
            seen += sum(len(key) + 4 for key in found)
        elif isinstance(found, list):
            waiting.extend(found)
        seen += len(found) if isinstance(found, str) else 1
        if seen > room:
            return False
    return True
