"""Structured output: schemas from tables of fields, and validation against them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

_TYPES: Final = {
    "str": "string",
    "string": "string",
    "text": "string",
    "int": "integer",
    "integer": "integer",
    "float": "number",
    "number": "number",
    "bool": "boolean",
    "boolean": "boolean",
    "dict": "object",
    "object": "object",
    "list": "array",
}

_PYTHON: Final[Mapping[str, tuple[type, ...]]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}


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


def misfit(value: Any, schema: Mapping[str, Any], place: str = "the answer") -> str:
    """Return in one sentence where a value does not fit a schema; empty where it fits."""
    kind = schema.get("type")
    if kind == "object":
        if not isinstance(value, Mapping):
            return f"{place} is not an object"
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
            return f"{place} is not a list"
        return next((m for item in value if (m := misfit(item, schema.get("items") or {}, place))), "")
    wanted = _PYTHON.get(str(kind))
    if wanted is None or value is None:
        return ""
    wrong_bool = isinstance(value, bool) and kind != "boolean"
    return f"{place} is not of type {kind}" if wrong_bool or not isinstance(value, wanted) else ""
