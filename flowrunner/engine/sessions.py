"""Resolve the sessions of a run before it starts: those it names, and the one each vertex uses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flowrunner.engine.planned import SESSION_INPUT, Plan, PlannedVertex
from flowrunner.memory.message import new_id
from flowrunner.session import Session, resolve_session_id


@dataclass(frozen=True, slots=True)
class SessionFrame:
    """The parts of the session rule that are the same for a whole run: rows 2, 5 and 6."""

    payload: str
    conversation: Session | None
    default: Session | None


def make_frame(plan: Plan, vertices: Sequence[PlannedVertex], payload: str, policy: str) -> SessionFrame:
    """Return the frame of a run: the request's session, the setting of the first chat input, the policy's default."""
    conversation = None
    if plan.chat_input is not None:
        chat = vertices[plan.chat_input]
        if chat.session_setting:
            conversation = Session(chat.session_setting, "component", chat.vertex.id)
    if payload:
        return SessionFrame(payload, conversation, None)
    if policy == "flow_id":
        default: Session | None = Session(plan.flow.id, "flow")
    else:
        default = Session(new_id(), "generated") if policy == "generate" else None
    return SessionFrame(payload, conversation, default)


def named_sessions(plan: Plan, vertices: Sequence[PlannedVertex], payload: str) -> set[str]:
    """Return the sessions that a run names before it starts, and whose turns it takes."""
    if payload:
        return {payload}
    return {vertices[i].session_setting for i in plan.scope if vertices[i].session_setting}


def foresee_sessions(plan: Plan, vertices: Sequence[PlannedVertex], frame: SessionFrame) -> dict[int, Session | None]:
    """Return the session of each vertex in scope, without running anything.

    None means that the id comes over an edge and is known only during the run.

    :raises SessionRequired: if the policy is ``require`` and a vertex would have no session.
    """
    found: dict[int, Session | None] = {}
    waiting = dict(plan.waiting)
    ready = [i for i in plan.scope if waiting[i] == 0]
    while ready:
        index = ready.pop(0)
        found[index] = _foresee(vertices, vertices[index], frame, found)
        if index in plan.cycles:
            found.update(dict.fromkeys(plan.cycles[index].scope, found[index]))
        for edge in plan.dependants[index]:
            waiting[edge.target] -= 1
            if waiting[edge.target] == 0:
                ready.append(edge.target)
    return found


def _foresee(
    vertices: Sequence[PlannedVertex], planned: PlannedVertex, frame: SessionFrame, found: dict[int, Session | None]
) -> Session | None:
    if SESSION_INPUT in planned.connected:
        return None
    upstream = [found[e.source] for e in planned.incoming if e.source in found and not vertices[e.source].reads_history]
    if not frame.payload and not planned.session_setting and upstream and upstream[0] is None:
        return None
    return resolve_session_id(
        vertex_id=planned.vertex.id,
        payload=frame.payload,
        setting=planned.session_setting,
        upstream=upstream,
        conversation=frame.conversation,
        default=frame.default,
    )
