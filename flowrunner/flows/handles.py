"""Parse the handles of edges in a Langflow export, in all the notations that releases used."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

#: What stands for a double quote in a handle: the letter itself, and how it looks after a wrong decoding.
_QUOTE_SIGNS = ("œ", "Å“")


@dataclass(frozen=True, slots=True)
class Handle:
    """One end of an edge: the port's name (None where the file gives none) and its types.

    ``vertex`` is the id that the handle itself gives. ``inner`` is, at a group, the vertex and
    port inside that are meant. ``feedback`` marks a target that is a loop's own output.
    """

    name: str | None = None
    types: tuple[str, ...] = ()
    vertex: str | None = None
    vertex_type: str | None = None
    inner: tuple[str, str] | None = None
    feedback: bool = False


def read_source(edge: Mapping[str, Any]) -> Handle:
    """Return the end at which an edge of an export starts."""
    found = _find(edge, "sourceHandle")
    if isinstance(found, Mapping):
        return _source_from_object(found)
    if isinstance(found, str) and "|" in found:
        kind, vertex, *types = found.split("|")
        return Handle(None, tuple(t for t in types if t), vertex or None, kind or None)
    return Handle(_text(found))


def read_target(edge: Mapping[str, Any]) -> Handle:
    """Return the end to which an edge of an export leads."""
    found = _find(edge, "targetHandle")
    if isinstance(found, Mapping):
        return _target_from_object(found)
    if isinstance(found, str) and "|" in found:
        types, name, *vertex = found.split("|")
        return Handle(name or None, tuple(t for t in types.split(";") if t), vertex[-1] if vertex else None)
    return Handle(_text(found))


def _source_from_object(handle: Mapping[str, Any]) -> Handle:
    types = _texts(handle.get("output_types")) or _texts(handle.get("baseClasses")) or _texts(handle.get("outputTypes"))
    name = _text(handle.get("name")) or _text(handle.get("fieldName"))
    inner = _inner(handle.get("proxy"), "name")
    return Handle(name, types, _text(handle.get("id")), _text(handle.get("dataType")), inner)


def _target_from_object(handle: Mapping[str, Any]) -> Handle:
    name, vertex = _text(handle.get("fieldName")), _text(handle.get("id"))
    if name is None and ("output_types" in handle or "dataType" in handle):
        types = _texts(handle.get("output_types"))
        return Handle(_text(handle.get("name")), types, vertex, _text(handle.get("dataType")), feedback=True)
    types = _texts(handle.get("inputTypes"))
    kind = _text(handle.get("type"))
    if kind is not None and kind not in types:
        types = (*types, kind)
    return Handle(name or _text(handle.get("name")), types, vertex, None, _inner(handle.get("proxy"), "field"))


def _find(edge: Mapping[str, Any], side: str) -> Any:
    """Return the handle as an object where it can be read as one; the edge's ``data`` counts first."""
    data = edge.get("data")
    for raw in (data.get(side) if isinstance(data, Mapping) else None, edge.get(side)):
        found = _decode(raw) if isinstance(raw, str) else raw
        if found:
            return found
    return None


def _decode(text: str) -> Any:
    if not text.lstrip().startswith("{"):
        return text
    plain = text
    for sign in _QUOTE_SIGNS:
        plain = plain.replace(sign, '"')
    try:
        found = json.loads(plain)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, Mapping) else None


def _inner(proxy: Any, key: str) -> tuple[str, str] | None:
    if not isinstance(proxy, Mapping):
        return None
    vertex, name = _text(proxy.get("id")), _text(proxy.get(key))
    return (vertex, name) if vertex is not None and name is not None else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(item for item in value if isinstance(item, str) and item) if isinstance(value, list) else ()
