"""The native flow format: short, written by hand, and readable in a diff.

``native.schema.json`` beside this file is its JSON Schema; ``docs/flows.md`` explains it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from flowrunner.errors import FlowInvalid
from flowrunner.flows.langflow import make_position
from flowrunner.flows.model import Edge, Finding, Port, Vertex
from flowrunner.flows.native_edges import EdgeReader
from flowrunner.flows.parsing import Limits, Path, place
from flowrunner.flows.shape import check_keys, check_kind, read_texts

FLOW_KEYS: Final = {
    "$schema": "string",
    "name": "string",
    "description": "string",
    "endpoint_name": "string",
    "id": "string",
    "idempotent": "boolean",
    "examples": "array",
    "components": "object",
    "edges": "array",
}
COMPONENT_KEYS: Final = {
    "type": "string",
    "display_name": "string",
    "description": "string",
    "settings": "object",
    "hidden": "object",
    "frozen": "boolean",
    "tool_mode": "boolean",
    "tool_name": "string",
    "edited": "boolean",
    "is_input": "boolean",
    "is_output": "boolean",
    "selected_output": "string",
    "outputs": "array",
    "fields": "object",
    "protected": "array",
    "secrets": "array",
    "group": "string",
    "position": "array",
}
OUTPUT_KEYS: Final = {"name": "string", "types": "array", "group": "boolean"}

#: Stands for the value of a variable: ``{"$variable": "OPENAI_API_KEY"}``.
VARIABLE: Final = "$variable"
#: Stands for an object that would otherwise be read as one of these two: ``{"$value": {"$variable": "x"}}``.
VALUE: Final = "$value"


def read_native(
    flow: Mapping[str, Any], limits: Limits, path: Path = ()
) -> tuple[tuple[Vertex, ...], tuple[Edge, ...], list[Finding]]:
    """Read ``components`` and ``edges`` of the native form.

    :param path: where they stand in their file, for errors.
    :returns: vertices and edges in the order of the file, and what was noticed.
    :raises FlowInvalid: naming the key path of what is wrong, with the nearest known key for an unknown one.
    """
    check_keys(flow, FLOW_KEYS, path)
    components = flow.get("components", {})
    if len(components) > limits.max_vertices:
        raise FlowInvalid(f"The flow has {len(components)} components; at most {limits.max_vertices} are accepted.")
    if len(flow.get("edges", ())) > limits.max_edges:
        raise FlowInvalid(f"The flow has {len(flow['edges'])} edges; at most {limits.max_edges} are accepted.")
    vertices = {
        name: _read_component(name, entry, limits, (*path, "components", name)) for name, entry in components.items()
    }
    noticed: list[Finding] = []
    reader = EdgeReader(vertices, noticed)
    edges = dict.fromkeys(
        edge
        for index, entry in enumerate(flow.get("edges", ()))
        if (edge := reader.read(entry, (*path, "edges", index))) is not None
    )
    return tuple(vertices.values()), tuple(edges), noticed


def _read_component(name: str, entry: Any, limits: Limits, path: Path) -> Vertex:
    if not name:
        raise FlowInvalid(f"{place(*path)}: a component needs a name.")
    check_keys(entry, COMPONENT_KEYS, path)
    kind = entry.get("type")
    if not kind:
        raise FlowInvalid(f"{place(*path, 'type')}: the component has no type.")
    for text in (name, kind, entry.get("display_name", "")):
        limits.check_name(text, *path)
    variables: set[str] = set()
    return Vertex(
        id=name,
        type=kind,
        display_name=entry.get("display_name", ""),
        settings=_read_settings(entry.get("settings", {}), variables, (*path, "settings")),
        hidden=_read_settings(entry.get("hidden", {}), variables, (*path, "hidden")),
        variables=frozenset(variables),
        field_types=_read_field_types(entry.get("fields", {}), (*path, "fields")),
        protected=frozenset(read_texts(entry.get("protected", []), (*path, "protected"))),
        secrets=frozenset(read_texts(entry.get("secrets", []), (*path, "secrets"))),
        listed_outputs=tuple(
            _read_output(output, (*path, "outputs", index)) for index, output in enumerate(entry.get("outputs", ()))
        ),
        selected_output=entry.get("selected_output") or None,
        frozen=entry.get("frozen", False),
        tool_mode=entry.get("tool_mode", False),
        tool_name=entry.get("tool_name", ""),
        is_input=entry.get("is_input"),
        is_output=entry.get("is_output"),
        edited=entry.get("edited", False),
        description=entry.get("description", ""),
        position=_read_position(entry["position"], (*path, "position")) if "position" in entry else None,
        parent=entry.get("group") or None,
    )


def _read_settings(settings: Mapping[str, Any], variables: set[str], path: Path) -> dict[str, Any]:
    """Return the values; null means not set, and the names of variables are noted in ``variables``."""
    values: dict[str, Any] = {}
    for name, value in settings.items():
        if value is None:
            continue
        if isinstance(value, Mapping) and len(value) == 1 and VARIABLE in value:
            wanted = value[VARIABLE]
            if not isinstance(wanted, str) or not wanted:
                raise FlowInvalid(f"{place(*path, name, VARIABLE)}: must be the name of a variable.")
            values[name] = wanted
            variables.add(name)
        elif isinstance(value, Mapping) and len(value) == 1 and VALUE in value:
            values[name] = value[VALUE]
        else:
            values[name] = value
    return values


def _read_output(output: Any, path: Path) -> Port:
    if isinstance(output, str) and output:
        return Port(output)
    check_keys(output, OUTPUT_KEYS, path)
    if not output.get("name"):
        raise FlowInvalid(f"{place(*path, 'name')}: the output has no name.")
    return Port(output["name"], read_texts(output.get("types", []), (*path, "types")), output.get("group", False))


def _read_field_types(fields: Mapping[str, Any], path: Path) -> dict[str, str]:
    for name, kind in fields.items():
        check_kind(kind, "string", (*path, name))
    return dict(fields)


def _read_position(position: list[Any], path: Path) -> tuple[float, float]:
    made = make_position(*position) if len(position) == 2 else None
    if made is None:
        raise FlowInvalid(f"{place(*path)}: must be two numbers, x and y.")
    return made
