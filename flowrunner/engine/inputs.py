"""Collect what a vertex needs to run: its session, its input values, its context."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from flowrunner.components.context import RunContext, Source
from flowrunner.components.values import text_of
from flowrunner.engine.dependence import WatchedContext, noting
from flowrunner.engine.ordering import ORDER_INPUT
from flowrunner.engine.planned import SESSION_INPUT, PlannedVertex
from flowrunner.engine.provenance import Provenance, injected
from flowrunner.engine.run_memory import VertexMemory
from flowrunner.engine.state import RunState
from flowrunner.engine.tokens import Speech
from flowrunner.engine.values import convert, convert_arriving
from flowrunner.session import Session, resolve_session_id


def session_of(state: RunState, planned: PlannedVertex) -> Session:
    """Return the session of a vertex whose predecessors have run."""
    edge = ""
    upstream: list[Session | None] = []
    for one in planned.incoming:
        if one.input == ORDER_INPUT or not state.is_live(one):
            continue
        result = state.results[one.source]
        if one.input == SESSION_INPUT:
            edge = edge or text_of(result.outputs.get(str(one.output)))
        elif not state.vertices[one.source].reads_history:
            upstream.append(result.session)
    setting = planned.session_setting
    if SESSION_INPUT in planned.variables:
        found = state.variable_of(planned, SESSION_INPUT)
        # A credential is refused in values_of, where the refusal is recorded.
        setting = "" if found is None or found.credential else found.value
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
    """Return the values of a vertex's inputs, and the names of variables that were not found, by input.

    :raises ValueError: if an input cannot use the value of an edge or a variable, or if a credential would be shown.
    """
    values = dict(planned.values)
    missing: dict[str, str] = {}
    for name, variable in planned.variables.items():
        if (name not in planned.inputs and name != SESSION_INPUT) or name in planned.connected:
            continue
        found = state.variable_of(planned, name)
        if found is not None and found.credential:
            _refuse_showing(planned, name, variable)
        if name not in planned.inputs:
            continue
        if found is None:
            missing[name] = variable
        else:
            values[name] = convert(planned.inputs[name], found.value)
    if planned.is_input:
        inside = injected(state, planned)
        if inside is not None:
            values[inside[0]] = inside[1]
    if planned.incoming:
        _receive(state, planned, values)
    return values, missing


def _refuse_showing(planned: PlannedVertex, name: str, variable: str) -> None:
    """Refuse a credential for any input not declared as a secret, since other values are shown and stored."""
    declared = planned.inputs.get(name)
    if declared is None or declared.type != "secret" or declared.holds_address:
        raise ValueError(
            f"the variable {variable}, named in the field {name}, is a credential, and these are only allowed"
            " in fields for secrets, such as an API key, because other fields are shown and stored"
        )


def _receive(state: RunState, planned: PlannedVertex, values: dict[str, Any]) -> None:
    """Fill in the values from edges: all of them for an input that takes many, else the first live one."""
    filled: set[str] = set()
    for edge in planned.incoming:
        declared = planned.inputs.get(edge.input)
        if declared is None:
            continue
        if not state.is_live(edge):
            # A prompt variable fed only by a branch that was not taken is empty, not missing.
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
    state: RunState,
    planned: PlannedVertex,
    session: Session,
    missing: Mapping[str, str],
    speech: Speech,
    provenance: Provenance,
) -> RunContext:
    """Return the context of one vertex."""
    make = state.contexts
    if make is None:
        make = state.contexts = partial(RunContext, **_of_run(state))
    made = (make if not planned.watched else partial(WatchedContext, **make.keywords))(
        vertex_id=planned.vertex.id,
        display_name=planned.display_name,
        session=session,
        memory=VertexMemory(state.memory, speech.promised(planned.index)),
        variable=provenance.variable,
        streaming=speech.wanted_from(planned),
        sources=_sources(state, planned) if planned.incoming else {},
        missing=missing,
        wanted=planned.wanted,
        iteration=state.rounds.get(planned.index, 1),
        leads_back=planned.leads_back,
        given=provenance.given,
    )
    if isinstance(made, WatchedContext):
        made.noted = lambda: state.personal.add(planned.index)
        made.variable = noting(state, planned, provenance.variable)
    return made


def _of_run(state: RunState) -> dict[str, Any]:
    """Return the values that the contexts of all vertices of a run share."""
    flow, services, owner = state.plan.flow, state.services, state.owner
    return {
        "flow_id": flow.id,
        "flow_name": flow.name,
        "run_id": state.run_id,
        "owner": owner,
        "cancelled": state.cancelled,
        "settings": services.settings,
        "run_flow": _flow_starter(state),
        "stored_file": lambda name: services.stored_file(owner, name),
        "save_file": None if services.save_file is None else partial(services.save_file, owner, flow.id),
        "flow_values": state.shared,
        "word": state.word,
        "vectors": None if services.vectors is None else services.vectors.for_owner(owner),
    }


def _flow_starter(state: RunState) -> Any:
    # It holds no state, which holds it: a run would stay in memory until the garbage collector finds it.
    services, owner, turn, cancelled = state.services, state.owner, state.turn, state.cancelled

    def run_flow(flow: str, input_value: str | None = None, **more: Any) -> Any:
        return services.run_flow(owner, flow, input_value, held=turn, cancelled=cancelled, **more)

    return run_flow


def _sources(state: RunState, planned: PlannedVertex) -> dict[str, list[Source]]:
    found: dict[str, list[Source]] = {}
    for edge in planned.incoming:
        if state.is_live(edge):
            found.setdefault(edge.input, []).append(state.vertices[edge.source].source)
    return found
