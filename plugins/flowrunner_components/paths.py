"""Paths into objects in the style of jq, such as ``.results[0].name``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

_STEP: Final = re.compile(
    r"""\.?\["((?:[^"\\]|\\.)*)"\]|\.?\[(-?\d{1,9})\]|\.?\[\]|\.([A-Za-z_][\w-]*)|\."((?:[^"\\]|\\.)*)\""""
)
_MOST: Final = 1000


def find_path(value: Any, path: str) -> Any:
    """Return what a path leads to; None where it leads nowhere, a list of all where it says ``[]``.

    Several paths with ``|`` between them are followed one after the other.

    :raises ValueError: for what is no such path.
    """
    found = value
    for part in path.split("|"):
        found = _follow(found, _steps(part.strip()))
    return found


def _steps(path: str) -> list[str | int | None]:
    if path in ("", "."):
        return []
    steps: list[str | int | None] = []
    place = 0
    text = path if path[0] in ".[" else f".{path}"
    while place < len(text):
        match = _STEP.match(text, place)
        if match is None or len(steps) >= _MOST:
            raise ValueError(f"invalid path {path[:80]}; write paths like .results[0].name")
        quoted, number, name, other = match.groups()
        word = name if name is not None else quoted if quoted is not None else other
        steps.append(int(number) if number is not None else word)
        place = match.end()
    return steps


def _follow(value: Any, steps: Sequence[str | int | None]) -> Any:
    for place, step in enumerate(steps):
        if step is None:
            items = list(value.values()) if isinstance(value, Mapping) else value
            return [_follow(item, steps[place + 1 :]) for item in items] if isinstance(items, (list, tuple)) else []
        if isinstance(step, int):
            inside = isinstance(value, (list, tuple)) and -len(value) <= step < len(value)
            value = value[step] if inside else None
        else:
            value = value.get(step) if isinstance(value, Mapping) else None
    return value
