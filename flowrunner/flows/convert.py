"""Convert a flow to the native form, in short or in full."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from flowrunner.components.contract import Component
from flowrunner.flows.layout import layout
from flowrunner.flows.model import Edge, Flow, Port, Vertex
from flowrunner.flows.native import VALUE, VARIABLE
from flowrunner.flows.native_edges import ARROW, split_end, split_sides
from flowrunner.flows.ports import FlowPorts, inputs_of, is_absent, takes
from flowrunner.flows.reading import read_flow
from flowrunner.registry import Registry

#: The table of what a component offers an agent.
_TOOLS: Final = "tools_metadata"
#: Protected in every vertex, so not worth a line.
_CODE: Final = "code"


@dataclass(frozen=True, slots=True)
class Conversion:
    """A flow in the native form: the JSON, its text, and sentences about what it does not say."""

    document: dict[str, Any]
    text: str
    notes: tuple[str, ...]


def convert_flow(
    flow: Flow, registry: Registry | None = None, *, exact: bool = False, positions: bool = False
) -> Conversion:
    """Write a flow in the native form.

    The short form leaves out what the components say themselves: settings that have their
    default, types of fields and ports, values of fields that the author's form does not show.
    The exact form keeps all of it, and reads back with the same content hash.

    :param registry: the components that are there; of a type that is not, everything is kept that
        a plugin for it would have to know.
    :param positions: keep where the components stand on the author's canvas.
    """
    notes = [f"{finding.message}" for finding in flow.findings if finding.level == "error"]
    components: dict[str, Any] = {}
    for vertex in flow.vertices:
        component = registry.component(vertex.type) if registry is not None else None
        writer = _exact if exact else _short
        components[vertex.id] = writer(vertex, component, notes)
        if positions and vertex.position is not None:
            components[vertex.id]["position"] = [_plain_number(number) for number in vertex.position]
    document: dict[str, Any] = {"name": flow.name}
    for key, value in (
        ("description", flow.description),
        ("endpoint_name", flow.endpoint_name),
        ("id", flow.id),
        ("idempotent", flow.idempotent),
        ("examples", list(flow.examples)),
    ):
        if value:
            document[key] = value
    document["components"] = components
    vertices = {vertex.id: vertex for vertex in flow.vertices}
    ports = FlowPorts(flow, registry) if registry is not None and not exact else None
    document["edges"] = [_edge(edge, vertices, ports, exact) for edge in flow.edges]
    if exact and read_flow(document).content_hash != flow.content_hash:
        notes.append(
            "The content hash of the result differs: the native form has no place for components that cannot run."
        )
    return Conversion(document, layout(document), tuple(notes))


def _exact(vertex: Vertex, component: Component | None, notes: list[str]) -> dict[str, Any]:
    made = _head(vertex)
    _add(made, "display_name", vertex.display_name)
    _add(made, "settings", _write_values(vertex.settings, vertex.variables))
    _add(made, "hidden", _write_values(vertex.hidden, vertex.variables))
    _add(made, "fields", dict(vertex.field_types))
    _add(made, "protected", sorted(vertex.protected))
    _add(made, "secrets", sorted(vertex.secrets))
    _add(made, "outputs", [_write_port(port) for port in vertex.listed_outputs])
    _add(made, "selected_output", vertex.selected_output)
    return made


def _short(vertex: Vertex, component: Component | None, notes: list[str]) -> dict[str, Any]:
    if component is None:
        return _short_unknown(vertex)
    made = _head(vertex)
    if vertex.display_name != (component.display_name or component.type_name):
        _add(made, "display_name", vertex.display_name)
    fixed = {name: declared for declared in component.inputs for name in (declared.name, *declared.aliases)}
    declared_names = {declared.name for declared in inputs_of(component, vertex, vertex.settings)}
    kept: dict[str, Any] = {}
    lost = []
    kept |= {i.name: i.absent for i in component.inputs if i.absent is not None and is_absent(i, vertex)}
    for name, value in vertex.settings.items():
        if name in fixed:
            if name in vertex.variables or not _is_default(value, fixed[name].default):
                kept[name] = value
        elif name in declared_names or (name == "session_id" and value):
            kept[name] = value
        elif name == _TOOLS:
            if vertex.tool_mode and (rows := _tool_rows(value)) is not None:
                kept[name] = rows
        elif value not in ("", [], {}, False):
            lost.append(name)
    if lost:
        notes.append(f"{vertex.id}: {vertex.type} has no input {', '.join(lost)}; left out.")
    _add(made, "settings", _write_values(kept, vertex.variables))
    _add(made, "protected", sorted(vertex.protected - {_CODE}))
    _add(made, "secrets", sorted(vertex.secrets - {i.name for i in component.inputs if i.type == "secret"}))
    return made


def _tool_rows(value: Any) -> list[dict[str, Any]] | None:
    """Return the rows of a tools table in short; None where the name of the one tool says it all."""
    rows = [row for row in value if isinstance(row, Mapping)] if isinstance(value, list) else []
    if not rows or (len(rows) == 1 and rows[0].get("status", True)):
        return None
    return [{key: row[key] for key in ("name", "description", "tags", "status") if key in row} for row in rows]


def _short_unknown(vertex: Vertex) -> dict[str, Any]:
    made = _head(vertex)
    _add(made, "display_name", vertex.display_name)
    _add(made, "settings", _write_values(vertex.settings, vertex.variables))
    _add(made, "fields", dict(vertex.field_types))
    _add(made, "protected", sorted(vertex.protected - {_CODE}))
    _add(made, "secrets", sorted(vertex.secrets))
    _add(made, "outputs", [_write_port(port) for port in vertex.listed_outputs])
    _add(made, "selected_output", vertex.selected_output)
    return made


def _head(vertex: Vertex) -> dict[str, Any]:
    made: dict[str, Any] = {"type": vertex.type}
    for key in ("frozen", "tool_mode", "edited"):
        _add(made, key, getattr(vertex, key))
    if vertex.tool_mode:
        _add(made, "tool_name", vertex.tool_name)
        _add(made, "description", vertex.description)
    for key in ("is_input", "is_output"):
        if getattr(vertex, key) is not None:
            made[key] = getattr(vertex, key)
    _add(made, "group", vertex.parent)
    return made


def _add(made: dict[str, Any], key: str, value: Any) -> None:
    if value:
        made[key] = value


def _is_default(value: Any, default: Any) -> bool:
    """Return whether a setting is what the component has anyway; every way of being empty counts as one."""
    if _is_empty(value) or _is_empty(default):
        return _is_empty(value) and _is_empty(default)
    return type(value) is type(default) and bool(value == default)


def _is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, (str, list, dict, tuple)) and not value)


def _write_values(values: Mapping[str, Any], variables: frozenset[str]) -> dict[str, Any]:
    written: dict[str, Any] = {}
    for name, value in values.items():
        if name in variables:
            written[name] = {VARIABLE: value}
        elif isinstance(value, Mapping) and len(value) == 1 and (VARIABLE in value or VALUE in value):
            written[name] = {VALUE: value}
        else:
            written[name] = value
    return written


def _write_port(port: Port) -> Any:
    if not port.types and not port.group:
        return port.name
    made: dict[str, Any] = {"name": port.name, "types": list(port.types)}
    if port.group:
        made["group"] = True
    return made


def _edge(edge: Edge, vertices: Mapping[str, Vertex], ports: FlowPorts | None, exact: bool) -> Any:
    output, wanted = edge.output, edge.input
    types_needed = exact and bool(edge.output_types or edge.input_types)
    if ports is not None:
        output, types_needed = _resolved(edge, ports)
    left = edge.source + (f".{output}" if output else "")
    right = edge.target + (f".{wanted}" if wanted else "")
    text = f"{left} {ARROW} {right}"
    plain = not edge.feedback and not types_needed and split_sides(text) is not None
    ends = ((left, (edge.source, output or "")), (right, (edge.target, wanted)))
    if plain and all(side == side.strip() and split_end(side, vertices) == [end] for side, end in ends):
        return text
    made: dict[str, Any] = {"source": edge.source, "output": output, "target": edge.target, "input": wanted}
    made = {key: value for key, value in made.items() if value}
    if types_needed:
        made |= {"output_types": list(edge.output_types), "input_types": list(edge.input_types)}
    if edge.feedback:
        made["feedback"] = True
    return made


def _resolved(edge: Edge, ports: FlowPorts) -> tuple[str | None, bool]:
    """Return the output under its present name, and whether the edge only fits because of the types it gives."""
    giver, taker = ports.of(edge.source), ports.of(edge.target)
    declared = taker.find_input(edge.input) if taker is not None and not edge.feedback else None
    given = giver.find_output(edge, declared) if giver is not None else None
    if giver is None or given is None:
        return edge.output, False
    bare = Edge(edge.source, edge.output, edge.target, edge.input)
    fits = declared is None or takes(declared, given, bare)
    # Which output its author selected is not kept, so an edge that goes by it must name it.
    selected = giver.vertex.selected_output is not None and len(giver.outputs) > 1
    unnamed = edge.output is None and not selected and giver.find_output(bare, declared) == given
    return None if unnamed else given.name, not fits


def _plain_number(number: float) -> float | int:
    return int(number) if number.is_integer() else number
