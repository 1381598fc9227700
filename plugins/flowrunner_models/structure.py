"""JSON out of a model: schemas from tables of fields, and the JSON in what a model says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

_FENCE: Final = re.compile(r"```[a-zA-Z]*\s*\n?(.*?)```", re.DOTALL)

_BEGIN: Final = re.compile(r"[\[{]")

_TYPES: Final = {
    "str": "string", "string": "string", "text": "string", "int": "integer", "integer": "integer",
    "float": "number", "number": "number", "bool": "boolean", "boolean": "boolean", "dict": "object",
    "object": "object", "list": "array",
}  # fmt: skip

_PYTHON: Final[Mapping[str, tuple[type, ...]]] = {
    "string": (str,), "integer": (int,), "number": (int, float), "boolean": (bool,),
}  # fmt: skip


def schema_of(rows: Any) -> dict[str, Any] | None:
    """Return the JSON schema of a table of fields (``name``, ``type``, ``description``, ``multiple``).

    :returns: None where the table names no field.
    """
    properties: dict[str, Any] = {}
    for row in rows if isinstance(rows, Iterable) and not isinstance(rows, (str, Mapping)) else ():
        name = row.get("name") if isinstance(row, Mapping) else None
        if not isinstance(name, str) or not name.strip():
            continue
        one: dict[str, Any] = {"type": _TYPES.get(str(row.get("type") or "str").lower(), "string")}
        if one["type"] == "array":
            one["items"] = {"type": "string"}
        if str(row.get("multiple")).lower() == "true":
            one = {"type": "array", "items": one}
        if row.get("description"):
            one["description"] = str(row["description"])
        properties[name.strip()] = one
    if not properties:
        return None
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def schema_of_many(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of any number of objects: providers take an object at the top only."""
    return {
        "type": "object",
        "properties": {"objects": {"type": "array", "items": dict(item)}},
        "required": ["objects"],
        "additionalProperties": False,
    }


def find_json(text: str) -> Any:
    """Return the first JSON object or list in a text, in a fenced block or bare; None if there is none."""
    for candidate in (text, *_FENCE.findall(text)):
        try:
            found = json.loads(candidate)
        except (ValueError, RecursionError):
            continue
        if isinstance(found, (dict, list)):
            return found
    return next(documents(text), None)


def documents(text: str) -> Iterator[Any]:
    """Yield the JSON objects and lists in a text, in their order."""
    decoder, at, budget = json.JSONDecoder(), 0, 16 * len(text) + 100_000
    while budget > 0 and (match := _BEGIN.search(text, at)):
        try:
            found, at = decoder.raw_decode(text, match.start())
        except json.JSONDecodeError as error:
            budget -= error.pos - match.start() + 1
            at = match.end()
            continue
        except (ValueError, RecursionError):
            at = match.end()
            budget -= len(text)
            continue
        yield found


def misfit(value: Any, schema: Mapping[str, Any], place: str = "the answer") -> str:
    """Return in one sentence where a value does not fit a schema; empty where it fits."""
    kind = schema.get("type")
    if kind == "object":
        if not isinstance(value, Mapping):
            return f"{place} is no object"
        for name in schema.get("required", ()):
            if name not in value:
                return f"{place} lacks {name}"
        for name, inner in (schema.get("properties") or {}).items():
            if name in value:
                found = misfit(value[name], inner, name)
                if found:
                    return found
        return ""
    if kind == "array":
        if not isinstance(value, list):
            return f"{place} is no list"
        return next((m for item in value if (m := misfit(item, schema.get("items") or {}, place))), "")
    wanted = _PYTHON.get(str(kind))
    if wanted is None or value is None:
        return ""
    wrong_bool = isinstance(value, bool) and kind != "boolean"
    return f"{place} is no {kind}" if wrong_bool or not isinstance(value, wanted) else ""
