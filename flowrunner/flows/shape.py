"""Validate JSON objects that people write by hand: known keys, values of the right type."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, Final

from flowrunner.errors import FlowInvalid
from flowrunner.flows.parsing import Path, place

#: Kinds of values, as errors and the schema name them.
_KINDS: Final[Mapping[str, type]] = {
    "string": str,
    "boolean": bool,
    "object": dict,
    "array": list,
}


def check_keys(entry: Any, known: Mapping[str, str], path: Path) -> None:
    """Refuse an object with a key that is not known, or with a value of the wrong kind.

    :param known: what kind of value each key has.
    :raises FlowInvalid: naming the key path.
    """
    if not isinstance(entry, Mapping):
        raise FlowInvalid(f"{place(*path)}: must be an object.")
    for key, value in entry.items():
        if key not in known:
            raise FlowInvalid(f"{place(*path, key)}: unknown key{nearest(key, known)}")
        check_kind(value, known[key], (*path, key))


def check_kind(value: Any, kind: str, path: Path) -> None:
    """Refuse a value of another kind.

    :raises FlowInvalid: naming the key path.
    """
    if not isinstance(value, _KINDS[kind]):
        raise FlowInvalid(f"{place(*path)}: must be {_article(kind)}.")


def nearest(word: str, known: Iterable[str]) -> str:
    """Return the end of a sentence: a hint to the known word that is most like this one, or a full stop."""
    # Only beginnings are compared: the cost grows with the square of the length.
    near = difflib.get_close_matches(word[:60], [name[:60] for name in known], n=1)
    return f"; did you mean {near[0]}?" if near else "."


def read_texts(values: Any, path: Path) -> tuple[str, ...]:
    """Return a list of texts.

    :raises FlowInvalid: naming the key path of what is none.
    """
    check_kind(values, "array", path)
    for index, value in enumerate(values):
        check_kind(value, "string", (*path, index))
    return tuple(values)


def _article(kind: str) -> str:
    return {"string": "a text", "boolean": "true or false", "object": "an object", "array": "a list"}[kind]
