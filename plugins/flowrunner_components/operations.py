"""Parse the list of operations of Data Operations and DataFrame Operations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def chosen_operation(value: Any) -> str:
    """Return the name of the chosen operation out of any shape in which releases write it; empty for none."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, Mapping):
        return chosen_operation(value.get("name"))
    if isinstance(value, (list, tuple)) and value:
        picked = [one for one in value if isinstance(one, Mapping) and (one.get("selected") or one.get("chosen"))]
        return chosen_operation((picked or list(value))[0])
    return ""


def words_of(value: Any) -> list[str]:
    """Return a list of names: of a list, or of a text with commas in it."""
    items = value if isinstance(value, (list, tuple)) else [value]
    return [word.strip() for item in items if isinstance(item, str) for word in item.split(",") if word.strip()]


def pairs_of(value: Any) -> dict[str, Any]:
    """Return an object, or the objects of a list joined, or a table of ``key`` and ``value``."""
    found: dict[str, Any] = {}
    for one in value if isinstance(value, (list, tuple)) else [value]:
        if isinstance(one, Mapping):
            found |= {str(one["key"]): one["value"]} if set(one) == {"key", "value"} else {str(k): one[k] for k in one}
    return found
