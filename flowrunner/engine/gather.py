"""What a vertex gets when it runs: its session, the values of its inputs, its context."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from flowrunner.components import RunContext, Source, text_of
from flowrunner.engine.plan import SESSION_INPUT, PlannedVertex
from flowrunner.engine.run_memory import VertexMemory
from flowrunner.engine.state import RunState
from flowrunner.engine.tokens import Speech
from flowrunner.engine.values import convert, convert_arriving
from flowrunner.session import Session, resolve_session_id

_NONE: Final[frozenset[str]] = frozenset()


def session_of(state: RunState, planned: PlannedVertex) -> Session:
    """Decide the session of a vertex whose predecessors have run."""
    edge = ""
    upstream: list[Session | None] = []
    for one in planned.incoming:
        if not state.is_live(one):
            continue
        result = state.results[one.source]
        if one.input == SESSION_INPUT:
            edge = edge or text_of(result.outputs.get(str(one.output)))
        elif not state.vertices[one.source].reads_history:
            upstream.append(result.session)
    setting = planned.session_setting
    if SESSION_INPUT in planned.variables:
        setting = state.variable_of(planned, SESSION_INPUT) or ""
    frame = state.frame
    return resolve_session_id(
        vertex_id=planned.vertex.id,
        edge=edge,
        payload=frame.payload,
        setting=setting,
        upstream=upstream,
        conversation=frame.conversation,
        default=frame.default,
    )


def values_of(state: RunState, planned: PlannedVertex) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the values of a vertex's inputs, and by input the variables that were found nowhere.

    :raises ValueError: if what an edge or a variable brings is of no use to its input.
    """
    values = dict(planned.values)
    missing: dict[str, str] = {}
    for name, variable in planned.variables.items():
        if name not in planned.inputs or name in planned.connected:
            continue
        found = state.variable_of(planned, name)
        if found is None:
            missing[name] = variable
        else:
            values[name] = convert(planned.inputs[name], found)
    if planned.is_input:
        _inject(state, planned, values)
    if planned.incoming:
        _receive(state, planned, values)
    return values, missing


def _inject(state: RunState, planned: PlannedVertex, values: dict[str, Any]) -> None:
    """Put the request's input into an input vertex; a field that an edge feeds keeps the edge."""
    request, kind = state.request, planned.component.input_kind
    name, value = "input_value", request.input_value
    if kind == "webhook":
        name, value = "data", request.payload
    elif request.input_type not in (kind, "any"):
        return
    if value is not None and name in values and name not in planned.connected:
        values[name] = value


def _receive(state: RunState, planned: PlannedVertex, values: dict[str, Any]) -> None:
    """Put in what edges bring: all into an input for many, else the first live one."""
    filled: set[str] = set()
    for edge in planned.incoming:
        declared = planned.inputs.get(edge.input)
        if declared is None:
            continue
        if not state.is_live(edge):
            # A variable of a prompt that only a branch not taken would have filled is empty, not missing.
            if edge.input not in filled and values[edge.input] is None:
                values[edge.input] = ""
            continue
        value = state.results[edge.source].outputs[edge.output or "component_as_tool"]
        if not declared.many:
            if edge.input not in filled:
                values[edge.input] = convert_arriving(declared, value)
        else:
            before = values[edge.input] if edge.input in filled else []
            values[edge.input] = [*before, *(value if isinstance(value, list) else [value])]
        filled.add(edge.input)


def context_for(
    state: RunState, planned: PlannedVertex, session: Session, missing: Mapping[str, str], speech: Speech
) -> RunContext:
    """Return the context of one vertex."""
    flow = state.plan.flow
    return RunContext(
        flow_id=flow.id,
        flow_name=flow.name,
        run_id=state.run_id,
        vertex_id=planned.vertex.id,
        display_name=planned.display_name,
        owner=state.owner,
        session=session,
        memory=VertexMemory(state.memory, speech.promised(planned.index)),
        cancelled=state.cancelled,
        variable=state.variable,
        settings=state.services.settings,
        run_flow=_flow_starter(state),
        stored_file=lambda name: state.services.stored_file(state.owner, name),
        streaming=speech.wanted_from(planned),
        tweaked=_tweaked(state, planned),
        sources=_sources(state, planned),
        missing=missing,
        kept=_kept(state, planned) if planned.variables else _NONE,
        flow_values=state.shared,
        wanted=planned.wanted,
        vectors=vectors.for_owner(state.owner) if (vectors := state.services.vectors) is not None else None,
    )


def _flow_starter(state: RunState) -> Any:
    def run_flow(flow: str, input_value: str | None = None, **more: Any) -> Any:
        return state.services.run_flow(
            state.owner, flow, input_value, held=state.turn, cancelled=state.cancelled, **more
        )

    return run_flow


def _sources(state: RunState, planned: PlannedVertex) -> dict[str, list[Source]]:
    found: dict[str, list[Source]] = {}
    for edge in planned.incoming:
        if state.is_live(edge):
            found.setdefault(edge.input, []).append(state.vertices[edge.source].source)
    return found


def _kept(state: RunState, planned: PlannedVertex) -> frozenset[str]:
    """Return the inputs that variables fill which did not come with the request."""
    given = state.request.variables or {}
    return frozenset(name for name, variable in planned.variables.items() if variable.upper() not in given)


def _tweaked(state: RunState, planned: PlannedVertex) -> frozenset[str]:
    """Return the inputs whose value the request decided: by a tweak, or by a variable that it brought."""
    original, given = state.plan.vertices[planned.index], state.request.variables
    if original is planned and not given:
        return _NONE
    found = {name for name, variable in planned.variables.items() if variable.upper() in given} if given else set()
    if original is not planned:
        found.update(
            name
            for name, value in planned.values.items()
            if original.values.get(name) != value or planned.variables.get(name) != original.variables.get(name)
        )
    return frozenset(found)
