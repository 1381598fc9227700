"""Plan a flow: find its components, connect edges to ports, determine order and scope.

A plan is made once per content of a flow and shared by all its runs; it holds no state of a run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from flowrunner.components.context import Source
from flowrunner.components.contract import Component
from flowrunner.components.ports import Input, canonical_type
from flowrunner.engine.cycles import find_cycles, fold, fold_loop
from flowrunner.engine.loops import find_loops, outside_of
from flowrunner.engine.ordering import order_by_collections, order_by_turn
from flowrunner.engine.planned import SESSION_INPUT, Plan, PlannedEdge, PlannedVertex
from flowrunner.engine.scope import find_scope, find_stream_targets, mark_watched
from flowrunner.engine.targets import TweakTargets
from flowrunner.engine.values import convert
from flowrunner.errors import EdgeInvalid, FlowInvalid
from flowrunner.flows.findings import refuse_unrunnable
from flowrunner.flows.model import Edge, Flow, Vertex
from flowrunner.flows.ports import TOOL_OUTPUTS, VertexPorts, inputs_of, is_absent, number_of, outputs_of, takes
from flowrunner.registry import Registry


def make_plan(flow: Flow, registry: Registry, *, refuse_unknown: bool = False) -> Plan:
    """Plan a flow, so that it can run.

    :param refuse_unknown: refuse a flow with any unknown component, even if no output depends on it.
    :raises FlowInvalid: if the flow cannot run: an output depends on an unknown component, an edge names a vertex
        or output that does not exist, or vertices form a cycle.
    :raises EdgeInvalid: if an edge joins incompatible ports.
    """
    if flow.is_component:
        raise FlowInvalid(f"{flow.name} is a saved component, not a flow; it cannot be run.")
    refuse_unrunnable(flow)
    warnings: list[str] = []
    kept, positions = _known_vertices(flow, registry, warnings, refuse_unknown=refuse_unknown)
    edges = [e for e in flow.edges if e.source in positions and e.target in positions]
    _refuse_dangling(flow)
    planned = [_plan_vertex(index, vertex, component) for index, (vertex, component) in enumerate(kept)]
    ports = [VertexPorts(component, vertex) for vertex, component in kept]
    joined: set[PlannedEdge] = set()
    returns: dict[int, list[tuple[int, str | None]]] = {}
    for edge in edges:
        if edge.feedback:
            _note_return(edge, planned, ports, positions, returns)
        else:
            _join(edge, planned, ports, positions, joined, warnings)
    for vertex in planned:
        _finish(vertex)
    cycles = find_cycles(planned)
    scope = find_scope(planned, warnings)
    order_by_collections(planned, scope)
    order_by_turn(planned, scope)
    loops = find_loops(planned, scope, returns)
    outside = outside_of(loops, scope)
    find_stream_targets(planned)
    chat = next((v.index for v in planned if v.component.input_kind == "chat"), None)
    run_by_plan, dependants, waiting, inside = fold(planned, outside, cycles)
    if cycles:
        loops = {index: fold_loop(planned, index, loop, cycles) for index, loop in loops.items()}
    mark_watched(planned)
    targets = TweakTargets(planned)
    return Plan(flow, tuple(planned), run_by_plan, tuple(warnings), chat, dependants, waiting, targets, loops, inside)


def _known_vertices(
    flow: Flow, registry: Registry, warnings: list[str], *, refuse_unknown: bool
) -> tuple[list[tuple[Vertex, Component]], dict[str, int]]:
    """Leave out vertices of unknown types; refuse a flow whose outputs depend on one."""
    known: list[tuple[Vertex, Component]] = []
    unknown: list[Vertex] = []
    for vertex in flow.vertices:
        component = registry.component(vertex.type)
        if component is None:
            unknown.append(vertex)
        else:
            known.append((vertex, component))
    if unknown:
        needed = needed_for_outputs(flow, registry)
        missing = unknown if refuse_unknown else [v for v in unknown if v.id in needed]
        if missing:
            names = ", ".join(f"{v.type} (vertex {v.id})" for v in missing[:5])
            more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
            raise FlowInvalid(
                f"No plugin offers {names}{more}, which the flow {flow.name} {'has' if refuse_unknown else 'needs'};"
                " run flowrunner check for details."
            )
        warnings += [f"{v.display_name or v.type} ({v.id}) is left out: no plugin offers {v.type}." for v in unknown]
    return known, {vertex.id: index for index, (vertex, _) in enumerate(known)}


def needed_for_outputs(flow: Flow, registry: Registry) -> set[str]:
    """Return the ids of vertices on which an output depends, other than as a tool."""
    before: dict[str, list[Edge]] = {}
    for edge in flow.edges:
        before.setdefault(edge.target, []).append(edge)
    outputs = [v.id for v in flow.vertices if _output_kind(v, registry.component(v.type)) is not None]
    todo = outputs or [v.id for v in flow.vertices]
    needed: set[str] = set(todo)
    while todo:
        for edge in before.get(todo.pop(), ()):
            if edge.source not in needed and edge.output not in TOOL_OUTPUTS and edge.input != "tools":
                needed.add(edge.source)
                todo.append(edge.source)
    return needed


def _refuse_dangling(flow: Flow) -> None:
    ids = {v.id for v in flow.vertices}
    for edge in flow.edges:
        for end in (edge.source, edge.target):
            if end not in ids:
                raise FlowInvalid(f"An edge of the flow {flow.name} names the vertex {end}, which does not exist.")


def _plan_vertex(index: int, vertex: Vertex, component: Component) -> PlannedVertex:
    display_name = vertex.display_name or component.display_name or component.type_name
    planned = PlannedVertex(
        index=index,
        vertex=vertex,
        component=component,
        display_name=display_name,
        inputs={},
        values={},
        variables={},
        session_setting="",
        source=Source(vertex.id, display_name, display_name),
    )
    configure(planned, vertex.settings, vertex.variables)
    planned.outputs = {o.name: canonical_type(o.type) for o in outputs_of(component, vertex)}
    return planned


def configure(planned: PlannedVertex, settings: Mapping[str, Any], variables: Iterable[str]) -> None:
    """Set the inputs, values and variables of a vertex from its settings; also used for a copy with tweaks.

    :raises FlowInvalid: if an input cannot use the value of its setting.
    """
    component = planned.component
    declared = inputs_of(component, planned.vertex, settings)
    planned.inputs = {i.name: i for i in declared}
    named = {alias: i.name for i in declared for alias in i.aliases}
    given = {named.get(name, name): value for name, value in settings.items()}
    from_variables = {named.get(name, name) for name in variables}
    planned.values, planned.variables = {}, {}
    for name, one in planned.inputs.items():
        value = given.get(name)
        if value is None and one.absent is not None and is_absent(one, planned.vertex):
            value = one.absent
        if name in from_variables and isinstance(value, str) and value:
            planned.variables[name] = value
            value = None
        try:
            planned.values[name] = convert(one, value)
        except ValueError as error:
            raise FlowInvalid(f"{planned.display_name} ({planned.vertex.id}): the field {name} {error}.") from error
    setting = given.get(SESSION_INPUT)
    planned.session_setting = _session_text(setting) if SESSION_INPUT not in from_variables else ""
    if SESSION_INPUT in from_variables and isinstance(setting, str) and setting:
        planned.variables[SESSION_INPUT] = setting
    planned.required = tuple(i.name for i in declared if i.required)
    planned.secrets = frozenset(i.name for i in declared if i.type == "secret") | planned.vertex.secrets
    planned.is_guarded = not component.asks_destination and any(i.holds_address for i in declared)
    planned.undeclared = {name: value for name, value in given.items() if name not in planned.inputs}
    planned.reads_history = component.reads_history_with(planned.values)


def _session_text(setting: Any) -> str:
    """Return the session id in the settings of a vertex; a number becomes text, as in any text field."""
    return str(setting) if isinstance(setting, (str, int, float)) and not isinstance(setting, bool) else ""


def _join(
    edge: Edge,
    planned: Sequence[PlannedVertex],
    ports: Sequence[VertexPorts],
    positions: Mapping[str, int],
    joined: set[PlannedEdge],
    warnings: list[str],
) -> None:
    """Connect one edge to the ports of its vertices."""
    source, target = planned[positions[edge.source]], planned[positions[edge.target]]
    declared = ports[target.index].find_input(edge.input)
    if declared is None and not edge.input:
        raise EdgeInvalid(
            f"An edge from {source.display_name} to {target.display_name} does not name an input,"
            f" and {number_of(ports[target.index].inputs)}."
        )
    if declared is None:
        warnings.append(f"{target.display_name} has no input {edge.input}; the value of the edge is ignored.")
        return
    output = _output_of(edge, source, target, ports[source.index], declared)
    made = PlannedEdge(source.index, output, target.index, declared.name)
    if made in joined:
        return
    joined.add(made)
    target.incoming.append(made)
    source.outgoing.append(made)


def _note_return(
    edge: Edge,
    planned: Sequence[PlannedVertex],
    ports: Sequence[VertexPorts],
    positions: Mapping[str, int],
    returns: dict[int, list[tuple[int, str | None]]],
) -> None:
    """Record an edge that leads back into a loop."""
    source, target = positions[edge.source], positions[edge.target]
    found = ports[source].find_output(edge)
    if found is None:
        raise EdgeInvalid(
            f"{planned[source].display_name} has no output {edge.output}, from which an edge leads back to"
            f" {planned[target].display_name}."
        )
    returns.setdefault(target, []).append((source, found.name))
    planned[source].returned += (found.name,)


def _output_of(
    edge: Edge, source: PlannedVertex, target: PlannedVertex, ports: VertexPorts, declared: Input
) -> str | None:
    """Return the name of an edge's output, or None if the edge passes the component as a tool."""
    if edge.output in TOOL_OUTPUTS:
        source.as_tool = True
        return None
    found = ports.find_output(edge, declared)
    if found is None:
        raise EdgeInvalid(
            f"{source.display_name} has no output {edge.output}, from which an edge leads to {target.display_name}."
            if edge.output
            else f"An edge from {source.display_name} to {target.display_name} does not name an output,"
            f" and {number_of(ports.outputs)}."
        )
    if not takes(declared, found, edge):
        raise EdgeInvalid(
            f"Edge between {source.display_name} and {target.display_name} has invalid handles:"
            f" {declared.name} does not take {found.type}."
        )
    return found.name


def _output_kind(vertex: Vertex, component: Component | None) -> str | None:
    for word in (vertex.type, vertex.id.split("-")[0]):
        if word in ("ChatOutput", "TextOutput", "DataOutput"):
            return word[:4].lower()
    return component.output_kind if component is not None else None


def _finish(planned: PlannedVertex) -> None:
    component, vertex = planned.component, planned.vertex
    planned.connected = frozenset(e.input for e in planned.incoming)
    planned.wanted = frozenset([*(e.output for e in planned.outgoing if e.output is not None), *planned.returned])
    kind = _output_kind(vertex, component)
    planned.is_output = vertex.is_output if vertex.is_output is not None else kind is not None
    prefixed = vertex.id.split("-")[0] in ("ChatInput", "TextInput", "Webhook")
    is_input = component.input_kind is not None or prefixed
    planned.is_input = vertex.is_input if vertex.is_input is not None else is_input
    shown = component.output_kind or component.input_kind
    planned.kind = shown if shown in ("chat", "text") else None
