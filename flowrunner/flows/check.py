"""Check a flow against the installed components, and report what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, Literal

from flowrunner.engine.plan import make_plan, needed_for_outputs
from flowrunner.engine.planned import Plan
from flowrunner.errors import FlowRunnerError
from flowrunner.flows import findings as codes
from flowrunner.flows.graph import find_circles, find_isolated
from flowrunner.flows.model import Edge, Finding, Flow, Vertex
from flowrunner.flows.ports import FlowPorts, number_of, takes
from flowrunner.registry import Registry
from flowrunner.settings.reading import PREFIX
from flowrunner.settings.setting import Settings

Level = Literal["error", "warning"]
_LEVELS: Final = ("error", "warning", "note")


def check_flow(flow: Flow, registry: Registry, settings: Settings | None = None) -> list[Finding]:
    """Return everything that is noticed about a flow, errors first.

    A flow without findings of the level ``error`` can be run. Unknown types are warnings only
    where the flow runs without them, as a mere tool of an agent or beside the way to an output.

    :param settings: of the server; without them nothing is said of what stands in for a service.
    """
    found = list(flow.findings)
    plan, refusal = _try_plan(flow, registry)
    if not flow.vertices:
        found.append(Finding(codes.EMPTY_FLOW, "The flow has no components, so a run returns nothing."))
    found += _check_types(flow, registry)
    ports = FlowPorts(flow, registry)
    found += _check_edges(flow, ports)
    found += _check_several(flow, ports)
    found += _check_circles(flow, plan)
    found += _check_scope(flow, plan)
    if refusal is not None and not any(finding.level == "error" for finding in found):
        found.append(Finding(codes.REFUSED, refusal, level="error"))
    if settings is not None:
        found += _check_services(flow, registry, settings)
    return sorted(found, key=lambda finding: _LEVELS.index(finding.level))


def _try_plan(flow: Flow, registry: Registry) -> tuple[Plan | None, str | None]:
    try:
        return make_plan(flow, registry), None
    except FlowRunnerError as error:
        return None, error.message


def _check_types(flow: Flow, registry: Registry) -> Iterator[Finding]:
    needs, needed = _Needs(flow), needed_for_outputs(flow, registry)
    for vertex in flow.vertices:
        if registry.component(vertex.type) is None:
            message = f"No plugin offers the component type {vertex.type} of {_shown(vertex)}."
            level: Level = "error" if vertex.id in needed else "warning"
            yield Finding(codes.UNKNOWN_COMPONENT, message, vertex.id, vertex.type, level, needs.of(vertex))
        elif vertex.edited:
            message = (
                f"The author changed the code of {_shown(vertex)}; embedded code is never run,"
                f" so the stock {vertex.type} runs instead."
            )
            yield Finding(codes.EDITED_COMPONENT, message, vertex.id, vertex.type)


class _Needs:
    """The fields and ports that a plugin would have to offer, by vertex."""

    def __init__(self, flow: Flow) -> None:
        self._inputs: dict[str, dict[str, list[str]]] = {}
        self._outputs: dict[str, dict[str, list[str]]] = {}
        for edge in flow.edges:
            _note(self._outputs, edge.source, edge.output or "", edge.output_types)
            if not edge.feedback:
                _note(self._inputs, edge.target, edge.input, edge.input_types)

    def of(self, vertex: Vertex) -> dict[str, Any]:
        """Return fields, inputs that edges feed, and outputs, as JSON."""
        outputs = {port.name: list(port.types) for port in vertex.listed_outputs}
        outputs |= {name: types for name, types in self._outputs.get(vertex.id, {}).items() if name not in outputs}
        kinds = {name: vertex.field_types.get(name, "") for name in (*vertex.field_types, *vertex.settings)}
        return {
            "fields": [{"name": name, "type": kind} for name, kind in kinds.items()],
            "inputs": _ports(self._inputs.get(vertex.id, {})),
            "outputs": _ports(outputs),
        }


def _note(ports: dict[str, dict[str, list[str]]], vertex: str, name: str, types: tuple[str, ...]) -> None:
    known = ports.setdefault(vertex, {}).setdefault(name, [])
    known.extend(kind for kind in types if kind not in known)


def _ports(ports: dict[str, list[str]]) -> list[dict[str, Any]]:
    return [{"name": name, "types": types} for name, types in ports.items()]


def _check_edges(flow: Flow, ports: FlowPorts) -> Iterator[Finding]:
    vertices = {vertex.id: vertex for vertex in flow.vertices}
    for edge in flow.edges:
        source, target = vertices[edge.source], vertices[edge.target]
        giver, taker = ports.of(edge.source), ports.of(edge.target)
        declared = taker.find_input(edge.input) if taker is not None and not edge.feedback else None
        given = giver.find_output(edge, declared) if giver is not None else None
        if giver is not None and given is None:
            yield _no_output(edge, source, target, number_of(giver.outputs))
        elif taker is not None and not edge.feedback:
            if declared is None:
                yield _no_input(edge, source, target, number_of(taker.inputs))
            elif given is not None and not takes(declared, given, edge):
                message = (
                    f"Edge between {source.shown_name} and {target.shown_name} has invalid handles:"
                    f" {declared.name} does not take {given.type}."
                )
                yield Finding(codes.EDGE_INVALID, message, target.id, target.type, "error")


def _no_output(edge: Edge, source: Vertex, target: Vertex, number: str) -> Finding:
    if edge.output is None:
        message = f"An edge from {_shown(source)} to {_shown(target)} does not name an output, and {number}."
        return Finding(codes.UNCLEAR_PORT, message, source.id, source.type, "error")
    message = f"{_shown(source)} has no output {edge.output}, from which an edge leads to {_shown(target)}."
    return Finding(codes.UNKNOWN_OUTPUT, message, source.id, source.type, "error")


def _no_input(edge: Edge, source: Vertex, target: Vertex, number: str) -> Finding:
    if not edge.input:
        message = f"An edge from {_shown(source)} to {_shown(target)} does not name an input, and {number}."
        return Finding(codes.UNCLEAR_PORT, message, target.id, target.type, "error")
    message = f"{_shown(target)} has no input {edge.input}; the value from {_shown(source)} is lost."
    return Finding(codes.UNKNOWN_INPUT, message, target.id, target.type)


def _check_several(flow: Flow, ports: FlowPorts) -> Iterator[Finding]:
    """Several edges into one plain input are meant only where they are branches of one component."""
    sources: dict[tuple[str, str], list[str]] = {}
    for edge in flow.edges:
        if not edge.feedback:
            sources.setdefault((edge.target, edge.input), []).append(edge.source)
    vertices = {vertex.id: vertex for vertex in flow.vertices}
    for (vertex_id, name), found in sources.items():
        vertex, taker = vertices[vertex_id], ports.of(vertex_id)
        declared = taker.find_input(name) if taker is not None and len(set(found)) > 1 else None
        if declared is not None and not declared.many:
            message = f"{len(found)} edges lead into {name} of {_shown(vertex)}, which takes one value."
            yield Finding(codes.SEVERAL_EDGES, message, vertex.id, vertex.type)


def _check_circles(flow: Flow, plan: Plan | None) -> Iterator[Finding]:
    """Report circles, but for those that run because a router bounds them."""
    bounded = {v.vertex.id for v in plan.vertices if v.in_cycle} if plan is not None else set()
    level: Level = "warning" if plan is not None else "error"
    names = {vertex.id: _shown(vertex) for vertex in flow.vertices}
    for circle in find_circles(flow):
        if bounded.issuperset(circle):
            continue
        listed = ", ".join(names[vertex_id] for vertex_id in circle[:8]) + (" and more" if len(circle) > 8 else "")
        message = f"These components form a cycle that can never run: {listed}."
        yield Finding(codes.CYCLE, message, circle[0], level=level)


def _check_scope(flow: Flow, plan: Plan | None) -> Iterator[Finding]:
    """Report what does not run; where there is no plan, only what is joined to nothing at all."""
    isolated = find_isolated(flow) if len(flow.vertices) > 1 else set()
    left_out = isolated
    if plan is not None:
        members = plan.running
        left_out = {v.vertex.id for v in plan.vertices if v.index not in members}
    fed = {edge.target for edge in flow.edges}
    outputs = {v.vertex.id for v in plan.vertices if v.is_output} if plan is not None else set()
    for vertex in flow.vertices:
        if vertex.id not in left_out:
            continue
        if vertex.id in outputs and vertex.id not in fed:
            message = f"{_shown(vertex)} has no incoming edge, so it does not run."
            yield Finding(codes.NO_INPUT, message, vertex.id, vertex.type)
        else:
            message = f"{_shown(vertex)} is not connected to the flow's input, so it does not run."
            yield Finding(codes.ISLAND, message, vertex.id, vertex.type)


def _check_services(flow: Flow, registry: Registry, settings: Settings) -> Iterator[Finding]:
    """Say of each component named after a service what answers in its place, unless the same was chosen."""
    for vertex in flow.vertices:
        component = registry.component(vertex.type)
        if component is None or not component.answered_by:
            continue
        chosen = str(getattr(settings, component.answered_by.lower(), ""))
        if _letters(chosen) in {_letters(name) for name in (component.type_name, component.display_name)}:
            continue
        message = (
            f"{_shown(vertex)} uses {chosen}, the store selected by {PREFIX}{component.answered_by}, instead of its own"
            " server: the address and key in the flow are not used, and data on that server is not found."
        )
        yield Finding(codes.STANDS_IN, message, vertex.id, vertex.type, "note")


def _letters(name: str) -> str:
    return "".join(filter(str.isalnum, name)).lower()


def _shown(vertex: Vertex) -> str:
    return f"{vertex.shown_name} ({vertex.id})"
