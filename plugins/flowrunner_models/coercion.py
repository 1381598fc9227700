"""Coerce values to a schema where a model expresses them differently."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

from .json_search import Look, documents
from .reasoning import set_apart, without_thoughts
from .structure import misfit

_NUMBER: Final = re.compile(r"[+-]?\d{1,40}(?:\.\d{1,40})?(?:[eE][+-]?\d{1,2})?")
_TRUE: Final = frozenset({"true", "yes"})
_FALSE: Final = frozenset({"false", "no"})
_NULL: Final = frozenset({"", "null", "none"})


def find_fitting(
    said: str, schema: Mapping[str, Any], *, many: bool = False, look: Look | None = None
) -> tuple[Any, str]:
    """Return the last JSON in what a model said that fits a schema, and an empty text; else None and what is wrong.

    :param many: look for objects of the schema instead, alone, in a list, or in a list under ``objects``.
    :param look: called now and then; it raises where the run should stop.
    """
    read = _read_many if many else _read_one
    wrong = ""
    for text in dict.fromkeys((set_apart(said)[0], without_thoughts(said))):
        for document in reversed(list(documents(text, look))):
            for value in _inner(document):
                found, fault = read(value, schema)
                if not fault:
                    return found, ""
                wrong = wrong or fault
    return None, wrong or "there is no JSON in it"


def coerce(value: Any, schema: Mapping[str, Any]) -> Any:
    """Return a value in the type that a schema wants, where nothing is lost by that; else as it is."""
    change = _CHANGES.get(str(schema.get("type")))
    return value if change is None else change(value, schema)


def _read_one(value: Any, schema: Mapping[str, Any]) -> tuple[Any, str]:
    found = coerce(value, schema)
    return found, misfit(found, schema)


def _read_many(value: Any, item: Mapping[str, Any]) -> tuple[Any, str]:
    """Return the list of objects in an answer, however it is wrapped."""
    if isinstance(value, Mapping) and "objects" in value and "objects" not in item.get("properties", {}):
        value = value["objects"]
    rows = coerce(value, {"type": "array", "items": item})
    if not isinstance(rows, list):
        return None, "it is no object"
    return rows, next((fault for row in rows if (fault := misfit(row, item))), "")


def _inner(document: Any) -> Iterator[Any]:
    """Return a document, and what is in it where it is but a wrapping of that."""
    yield document
    for _ in range(3):
        if not isinstance(document, Mapping) or len(document) != 1:
            return
        (document,) = document.values()
        if isinstance(document, str):
            document = _parsed(document)
        if not isinstance(document, (dict, list)):
            return
        yield document


def _object(value: Any, schema: Mapping[str, Any]) -> Any:
    value = _parsed(value) if isinstance(value, str) else value
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], Mapping):
        value = value[0]
    properties = schema.get("properties") or {}
    if not isinstance(value, Mapping):
        return value
    return {name: coerce(item, properties[name]) if name in properties else item for name, item in value.items()}


def _array(value: Any, schema: Mapping[str, Any]) -> Any:
    items = schema.get("items") or {}
    if isinstance(value, str):
        found = _parsed(value)
        value = found if isinstance(found, (list, dict)) else value
    if value is None:
        return []
    return [coerce(item, items) for item in (value if isinstance(value, list) else [value])]


def _integer(value: Any, schema: Mapping[str, Any]) -> Any:
    number = _number(value, schema)
    whole = isinstance(number, float) and number.is_integer() and abs(number) < 2**53
    return int(number) if whole else number


def _number(value: Any, schema: Mapping[str, Any]) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if not isinstance(value, str):
        return value
    text = value.strip()
    if text.lower() in _NULL:
        return None
    if not _NUMBER.fullmatch(text):
        return value
    exact = Decimal(text)
    return int(exact) if exact == exact.to_integral_value() else float(exact)


def _boolean(value: Any, schema: Mapping[str, Any]) -> Any:
    if isinstance(value, str):
        word = value.strip().lower()
        return True if word in _TRUE else False if word in _FALSE else None if word in _NULL else value
    return bool(value) if value in (0, 1) and not isinstance(value, bool) else value


def _string(value: Any, schema: Mapping[str, Any]) -> Any:
    fits = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return json.dumps(value) if fits else value


def _parsed(text: str) -> Any:
    """Return the object or list that a text is; the text where it is none."""
    if text.lstrip()[:1] not in ("{", "["):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


_CHANGES: Final[Mapping[str, Callable[[Any, Mapping[str, Any]], Any]]] = {
    "object": _object,
    "array": _array,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "string": _string,
}
