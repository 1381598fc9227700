"""Describe how a flow would use sessions, without running it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flowrunner.engine.planned import SESSION_INPUT, Plan, PlannedVertex
from flowrunner.engine.sessions import foresee_sessions, make_frame
from flowrunner.session import Session


@dataclass(frozen=True, slots=True)
class ExplainedVertex:
    """The session of one component, what decides it, and whether the component reads or stores messages.

    ``session`` is None if the id comes over an edge and is known only during the run.
    """

    vertex: str
    component: str
    type: str
    session: Session | None
    decided_by: str
    reads: bool
    writes: bool

    def to_json(self) -> dict[str, Any]:
        """Return the object that ``flowrunner explain --json`` shows."""
        return {
            "vertex": self.vertex,
            "component": self.component,
            "type": self.type,
            "session": self.session.to_json() if self.session else None,
            "decided_by": self.decided_by,
            "reads": self.reads,
            "writes": self.writes,
        }


@dataclass(frozen=True, slots=True)
class Explanation:
    """The sessions of a flow's components, in the order of the file, and warnings."""

    rows: tuple[ExplainedVertex, ...]
    warnings: tuple[str, ...]


def explain(plan: Plan, *, session_id: str = "", policy: str = "flow_id") -> Explanation:
    """Return the session of each component, without running the plan.

    :param session_id: the session that a request would name; empty for none.
    :param policy: the session policy.
    :raises SessionRequired: if the policy is ``require`` and a component would have no session.
    """
    vertices = plan.vertices
    frame = make_frame(plan, vertices, session_id, policy)
    sessions = foresee_sessions(plan, vertices, frame)
    rows = tuple(
        ExplainedVertex(
            vertex=vertices[i].vertex.id,
            component=vertices[i].display_name,
            type=vertices[i].vertex.type,
            session=sessions.get(i),
            decided_by=_decided_by(vertices[i], sessions.get(i), vertices),
            reads=vertices[i].reads_history,
            writes=_writes(vertices[i]),
        )
        for i in plan.scope
    )
    return Explanation(rows, (*plan.warnings, *_double_stores(plan, sessions), *_late_reads(plan, sessions)))


def _decided_by(planned: PlannedVertex, session: Session | None, vertices: Sequence[PlannedVertex]) -> str:
    if session is None:
        if SESSION_INPUT in planned.connected:
            edge = next(e for e in planned.incoming if e.input == SESSION_INPUT)
            return f"the edge from {vertices[edge.source].display_name} ({vertices[edge.source].vertex.id})"
        return "an edge further up"
    if session.source == "payload":
        return "the request"
    if session.source == "flow":
        return "nobody: the flow's id"
    if session.source == "generated":
        return "nobody: a fresh id for each run"
    if session.component == planned.vertex.id:
        return "its own setting"
    return f"the setting of {session.component}"


def _writes(planned: PlannedVertex) -> bool:
    stores = planned.component.stores_messages_with(planned.values)
    return stores and planned.values.get("should_store_message", True) is not False


def _double_stores(plan: Plan, sessions: Mapping[int, Session | None]) -> list[str]:
    """Find components that store a message which the component before them stores in the same session."""
    found = []
    for index in plan.scope:
        planned = plan.vertices[index]
        if not _writes(planned) or planned.is_output:
            continue
        for edge in planned.incoming:
            source = plan.vertices[edge.source]
            if _writes(source) and sessions.get(edge.source) == sessions.get(index):
                found.append(
                    f"{source.display_name} ({source.vertex.id}) and {planned.display_name} ({planned.vertex.id})"
                    " both store the same turn."
                )
    return found


def _late_reads(plan: Plan, sessions: Mapping[int, Session | None]) -> list[str]:
    """Find components that read a history after another component wrote to the same session."""
    found = []
    for index in plan.scope:
        reader = plan.vertices[index]
        if not reader.reads_history:
            continue
        seen, todo = set[int](), [e.source for e in reader.incoming]
        while todo:
            before = todo.pop()
            if before in seen:
                continue
            seen.add(before)
            todo += [e.source for e in plan.vertices[before].incoming]
        for before in sorted(seen):
            writer = plan.vertices[before]
            if _writes(writer) and sessions.get(before) == sessions.get(index):
                found.append(
                    f"{reader.display_name} ({reader.vertex.id}) reads the history after {writer.display_name}"
                    f" ({writer.vertex.id}) wrote to it; a run never sees its own turn in it."
                )
    return found
