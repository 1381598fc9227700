"""Show a native flow as nodes and edges, the form that clients of Langflow read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from flowrunner.components.contract import Component
from flowrunner.components.ports import Input, canonical_type
from flowrunner.errors import FlowRunnerError
from flowrunner.flows.langflow import types_meet
from flowrunner.flows.model import Edge, Vertex
from flowrunner.flows.native import read_native
from flowrunner.flows.parsing import Limits
from flowrunner.flows.ports import TOOL_OUTPUTS, VertexPorts
from flowrunner.registry import Registry

#: How templates call the kinds of fields.
_KINDS: Final[Mapping[str, str]] = {
    "Message": "str",
    "str": "str",
    "secret": "str",
    "int": "int",
    "float": "float",
    "bool": "bool",
    "dict": "dict",
    "list": "str",
    "Table": "table",
}
_COLUMN: Final = 400
_ROW: Final = 260


def as_nodes(graph: Mapping[str, Any], registry: Registry) -> dict[str, Any]:
    """Return nodes, edges and viewport of a graph in the native form.

    Stored as they are, they run as the native form does.

    :raises FlowInvalid: for a graph that cannot be read.
    """
    vertices, edges, _ = read_native(graph, Limits())
    drawn = {vertex.id: _Drawn(vertex, registry.component(vertex.type)) for vertex in vertices}
    joined = [_edge(edge, drawn[edge.source], drawn[edge.target]) for edge in edges]
    nodes = [drawn[vertex.id].node(place) for place, vertex in enumerate(vertices)]
    return {"nodes": nodes, "edges": joined, "viewport": {"x": 0, "y": 0, "zoom": 1}}


class _Drawn:
    """A vertex as a node, with the ports that edges need of it."""

    def __init__(self, vertex: Vertex, component: Component | None) -> None:
        self.vertex = vertex
        self.component = component
        self.ports = _ports(component, vertex)
        self.given: dict[str, list[str]] = {port.name: list(port.types) for port in vertex.listed_outputs}
        self.taken: dict[str, list[str]] = {}
        self.as_tool = False

    def node(self, place: int) -> dict[str, Any]:
        """Return the node."""
        vertex, component = self.vertex, self.component
        position = vertex.position or (place % 4 * _COLUMN, place // 4 * _ROW)
        usual = component.display_name or component.type_name if component is not None else vertex.type
        inner = {
            "template": {"_type": "Component", **self._template()},
            "outputs": self._outputs(),
            "display_name": vertex.display_name or usual,
            "description": vertex.description or _words_of(component),
            "base_classes": sorted({kind for kinds in self.given.values() for kind in kinds}),
            "frozen": vertex.frozen,
            "tool_mode": vertex.tool_mode,
            "edited": vertex.edited,
            "documentation": "",
        }
        for key in ("is_input", "is_output"):
            if getattr(vertex, key) is not None:
                inner[key] = getattr(vertex, key)
        data = {"id": vertex.id, "type": vertex.type, "node": inner, "showNode": True}
        if vertex.selected_output:
            data["selected_output"] = vertex.selected_output
        where = {"x": position[0], "y": position[1]}
        return {"id": vertex.id, "type": "genericNode", "position": where, "data": data}

    def _template(self) -> dict[str, Any]:
        vertex = self.vertex
        declared = {one.name: one for one in (self.ports.inputs if self.ports is not None else ())}
        named = {alias: one.name for one in declared.values() for alias in one.aliases}
        values = {named.get(name, name): value for name, value in vertex.settings.items()}
        hidden = {named.get(name, name): value for name, value in vertex.hidden.items()}
        variables = {named.get(name, name) for name in vertex.variables}
        names = dict.fromkeys((*declared, *values, *hidden, *vertex.field_types, *self.taken))
        found = {}
        for name in names:
            entry = _field(name, declared.get(name), vertex.field_types.get(name))
            entry["show"] = name not in hidden
            entry["load_from_db"] = name in variables
            if name in vertex.secrets:
                entry["password"] = True
            value = values.get(name, hidden.get(name))
            entry["value"] = entry["value"] if value is None else value
            found[name] = entry
        if vertex.tool_mode and vertex.tool_name and "tools_metadata" not in found:
            words = {"name": vertex.tool_name, "description": vertex.description, "tags": [vertex.tool_name]}
            table = {"name": "tools_metadata", "type": "tools", "show": True, "value": [{**words, "status": True}]}
            found["tools_metadata"] = table
        return found

    def _outputs(self) -> list[dict[str, Any]]:
        if self.as_tool:
            return [_output("component_as_tool", ["Tool"])]
        if self.ports is not None:
            for output in self.ports.outputs:
                self.given.setdefault(output.name, [canonical_type(output.type)])
        return [_output(name, kinds) for name, kinds in self.given.items()]


def _ports(component: Component | None, vertex: Vertex) -> VertexPorts | None:
    try:
        return VertexPorts(component, vertex) if component is not None else None
    except FlowRunnerError:
        return None


def _field(name: str, declared: Input | None, kind: str | None) -> dict[str, Any]:
    """Return a field of a template, with the value that it has without a setting."""
    entry: dict[str, Any] = {"name": name, "display_name": _shown(name), "required": False}
    if declared is None:
        return {**entry, "type": kind or "str", "list": False, "input_types": [], "info": "", "value": ""}
    empty: Any = [] if declared.many else "" if _KINDS.get(declared.type) == "str" else None
    return {
        **entry,
        "type": kind or _KINDS.get(declared.type, "other"),
        "required": declared.required,
        "list": declared.many or declared.type == "list",
        "input_types": _types_of(declared),
        "password": declared.type == "secret",
        "options": list(declared.options),
        "info": declared.info,
        "value": empty if declared.default is None else declared.default,
    }


def _types_of(declared: Input) -> list[str]:
    return list(dict.fromkeys(canonical_type(kind) for kind in (declared.type, *declared.accepts)))


def _output(name: str, kinds: list[str]) -> dict[str, Any]:
    chosen = kinds[0] if kinds else None
    return {
        "name": name,
        "display_name": _shown(name),
        "method": name,
        "types": kinds,
        "selected": chosen,
        "cache": True,
    }


def _shown(name: str) -> str:
    return name.replace("_", " ").title()


def _edge(edge: Edge, source: _Drawn, target: _Drawn) -> dict[str, Any]:
    """Return an edge, and note at its ends what it says of their ports."""
    declared = target.ports.find_input(edge.input) if target.ports is not None and not edge.feedback else None
    output, given = _giving(edge, source, declared)
    start = {"dataType": source.vertex.type, "id": edge.source, "name": output, "output_types": given}
    end: dict[str, Any] = {"id": edge.target}
    if edge.feedback:
        end |= {"dataType": target.vertex.type, "name": edge.input, "output_types": given}
    else:
        name = declared.name if declared is not None else edge.input
        taken = list(edge.input_types) or (_types_of(declared) if declared is not None else given)
        # Of what fits only because it is converted, the handle must say that it is taken.
        taken = taken if types_meet(tuple(given), tuple(taken)) else [*taken, *given]
        target.taken.setdefault(name, taken)
        end |= {"fieldName": name, "inputTypes": taken, "type": _KINDS.get(taken[0] if taken else "", "other")}
    left, right = _handle(start), _handle(end)
    return {
        "id": f"edge__{edge.source}{left}-{edge.target}{right}",
        "source": edge.source,
        "target": edge.target,
        "sourceHandle": left,
        "targetHandle": right,
        "data": {"sourceHandle": start, "targetHandle": end},
    }


def _giving(edge: Edge, source: _Drawn, declared: Input | None) -> tuple[str, list[str]]:
    """Return the name of the output at which an edge starts, and its types."""
    if edge.output in TOOL_OUTPUTS:
        source.as_tool = True
        return str(edge.output), ["Tool"]
    found = source.ports.find_output(edge, declared) if source.ports is not None else None
    name = found.name if found is not None else edge.output or ""
    types = list(edge.output_types)
    if not types:
        types = [canonical_type(found.type)] if found is not None else source.given.get(name, [])
    if name:
        source.given.setdefault(name, types)
    return name, types


def _handle(handle: Mapping[str, Any]) -> str:
    return json.dumps(handle, separators=(",", ":"), ensure_ascii=False).replace('"', "œ")


def _words_of(component: Component | None) -> str:
    return (component.__doc__ or "").strip().partition("\n")[0] if component is not None else ""
