"""Read Langflow exports of any release into a :class:`~flowrunner.flows.model.Flow`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from flowrunner.components.ports import canonical_type
from flowrunner.errors import FlowInvalid
from flowrunner.flows import findings as codes
from flowrunner.flows.fields import read_template
from flowrunner.flows.groups import Node, RawEdge, flatten, inner_node
from flowrunner.flows.model import Edge, Finding, Port, Vertex
from flowrunner.flows.parsing import Limits, Path, place

#: Types of ports and fields that say nothing about what they take.
_ANY_TYPES: Final = frozenset({"any", "Any", "object", "other", "NestedDict", "dict", "Object"})

#: Coordinates from here on are nobody's canvas.
FAR_OUTSIDE: Final = 1e12


def read_graph(
    graph: Mapping[str, Any], limits: Limits, path: Path = ()
) -> tuple[tuple[Vertex, ...], tuple[Edge, ...], list[Finding]]:
    """Read ``nodes`` and ``edges`` of an export; embedded code is left where it is.

    :param path: where the graph stands in its file, for errors.
    :returns: vertices in the order of the file, edges, and what was noticed.
    :raises FlowInvalid: naming the place of what cannot be read.
    """
    flat = flatten(graph, path)
    if len(flat.nodes) > limits.max_vertices:
        raise FlowInvalid(f"The flow has {len(flat.nodes)} components; at most {limits.max_vertices} are accepted.")
    if len(flat.edges) > limits.max_edges:
        raise FlowInvalid(f"The flow has {len(flat.edges)} edges; at most {limits.max_edges} are accepted.")
    vertices = {node.id: _read_vertex(node, limits) for node in flat.nodes}
    noticed: list[Finding] = []
    edges: dict[Edge, None] = {}
    for raw in flat.edges:
        if raw.source in flat.notes or raw.target in flat.notes:
            continue
        edge = _read_edge(raw, vertices, noticed)
        if edge is not None:
            edges[edge] = None
    return tuple(vertices.values()), tuple(edges), noticed


def _read_vertex(node: Node, limits: Limits) -> Vertex:
    raw = node.raw
    data = raw.get("data")
    data = data if isinstance(data, Mapping) else {}
    inner = inner_node(raw)
    fields = read_template(node.template)
    tool_mode = inner.get("tool_mode") is True
    kind = _type_of(node, data)
    display_name = _text(inner.get("display_name")) or _text(data.get("display_name"))
    for name in (node.id, kind, display_name):
        limits.check_name(name, *node.path)
    tool = _enabled_tool(fields.settings) if tool_mode else {}
    return Vertex(
        id=node.id,
        type=kind,
        display_name=display_name,
        settings=fields.settings,
        hidden=fields.hidden,
        variables=frozenset(fields.variables),
        field_types=fields.types,
        protected=frozenset(fields.protected),
        secrets=frozenset(fields.secrets),
        listed_outputs=_read_outputs(inner.get("outputs")),
        selected_output=_text(data.get("selected_output")) or _text(inner.get("selected_output")) or None,
        frozen=inner.get("frozen") is True,
        tool_mode=tool_mode,
        is_input=_flag(inner.get("is_input")),
        is_output=_flag(inner.get("is_output")),
        edited=inner.get("edited") is True or data.get("edited") is True,
        description=_text(tool.get("description")) or _text(inner.get("description")),
        tool_name=_text(tool.get("name")),
        position=read_position(raw.get("position")),
        parent=node.parent,
    )


def _type_of(node: Node, data: Mapping[str, Any]) -> str:
    """Return the component type: that of the data, else (in files not made by Langflow) that of the node."""
    kind = _text(data.get("type"))
    outer = _text(node.raw.get("type"))
    if not kind and outer not in ("genericNode", "customNode"):
        kind = outer
    if not kind:
        raise FlowInvalid(f"{place(*node.path, 'data', 'type')}: the node {node.id!r} has no component type.")
    return kind


def _enabled_tool(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the row of the tools table that the author left switched on, the first if there are several."""
    rows = settings.get("tools_metadata")
    found = (
        (row for row in rows if isinstance(row, Mapping) and row.get("status", True)) if isinstance(rows, list) else ()
    )
    return next(iter(found), {})


def _read_outputs(outputs: Any) -> tuple[Port, ...]:
    ports = []
    for output in outputs if isinstance(outputs, list) else ():
        if isinstance(output, Mapping) and _text(output.get("name")):
            types = output.get("types")
            names = tuple(t for t in types if isinstance(t, str)) if isinstance(types, list) else ()
            ports.append(Port(output["name"], names, output.get("group_outputs") is True))
    return tuple(ports)


def _read_edge(raw: RawEdge, vertices: Mapping[str, Vertex], noticed: list[Finding]) -> Edge | None:
    for missing, other, way in (
        (raw.source, raw.target, "leads from it to"),
        (raw.target, raw.source, "leads to it from"),
    ):
        if missing not in vertices:
            message = f"Vertex {missing} not found; an edge {way} {other}."
            noticed.append(Finding(codes.MISSING_VERTEX, message, vertex=missing, level="error"))
            return None
    source, target = vertices[raw.source], vertices[raw.target]
    edge = Edge(
        source=source.id,
        output=raw.start.name,
        target=target.id,
        input=raw.end.name or "",
        output_types=raw.start.types,
        input_types=raw.end.types,
        feedback=raw.end.feedback,
    )
    if not types_meet(edge.output_types, edge.input_types):
        noticed.append(unfit_edge(edge, source, target))
    return edge


def types_meet(given: tuple[str, ...], wanted: tuple[str, ...]) -> bool:
    """Return whether a port of some of these types may feed one that takes others; no types say nothing."""
    if not given or not wanted:
        return True
    takes = {canonical_type(name) for name in wanted}
    gives = {canonical_type(name) for name in given}
    return bool(takes & gives or (takes | gives) & _ANY_TYPES)


def unfit_edge(edge: Edge, source: Vertex, target: Vertex) -> Finding:
    """Return the finding for an edge between ports that do not fit."""
    message = (
        f"Edge between {source.shown_name} and {target.shown_name} has invalid handles:"
        f" {edge.output or 'the output'} gives {', '.join(edge.output_types)},"
        f" {edge.input or 'the input'} takes {', '.join(edge.input_types)}."
    )
    return Finding(codes.EDGE_INVALID, message, vertex=target.id, type=target.type, level="error")


def read_position(position: Any) -> tuple[float, float] | None:
    """Return where a node stands on the canvas, or None."""
    if not isinstance(position, Mapping):
        return None
    return make_position(position.get("x"), position.get("y"))


def make_position(x: Any, y: Any) -> tuple[float, float] | None:
    """Return two numbers as a place on the canvas, or None if they are none or far outside."""
    for number in (x, y):
        if isinstance(number, bool) or not isinstance(number, (int, float)) or not abs(number) < FAR_OUTSIDE:
            return None
    return (float(x), float(y))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _flag(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None
