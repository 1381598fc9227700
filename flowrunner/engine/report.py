"""Choose the vertices that an answer shows, and the session that it names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from flowrunner.engine.planned import PlannedVertex
from flowrunner.engine.request import RunRequest
from flowrunner.engine.result import VertexResult
from flowrunner.engine.sessions import SessionFrame
from flowrunner.session import Session

Ran = Sequence[tuple[PlannedVertex, VertexResult]]


def select_reported(ran: Ran, request: RunRequest, vertices: Iterable[PlannedVertex]) -> list[VertexResult]:
    """Return the results that the answer shows, in the order of the file.

    A request may name an output component by id or display name. Otherwise outputs whose id contains the requested
    type are shown, or all outputs if there are none. ``debug`` shows every vertex. Callers who may not see the graph
    of the flow get only its outputs.

    :param vertices: all vertices of the flow: if an output of the requested type exists but did not run, nothing is
        shown in its place.
    """
    if request.outputs_only:
        ran = [(p, r) for p, r in ran if p.is_output]
    wanted = request.output_component
    if wanted:
        return [r for p, r in ran if wanted in (p.vertex.id, p.display_name)]
    if request.output_type == "debug":
        return [r for _, r in ran]
    outputs = [(p, r) for p, r in ran if p.is_output]
    if request.output_type != "any":
        kind = request.output_type
        if any(_fits(p, kind) for p, _ in outputs) or any(p.is_output and _fits(p, kind) for p in vertices):
            return [r for p, r in outputs if _fits(p, kind)]
    return [r for _, r in outputs]


def answer_session(frame: SessionFrame, ran: Ran, reported: Sequence[VertexResult]) -> Session:
    """Return the session of the request, or that of the first reported chat output, or the default."""
    if frame.payload:
        return Session(frame.payload, "payload")
    shown = {r.vertex_id for r in reported}
    for planned, result in ran:
        if planned.is_output and result.kind == "chat" and result.vertex_id in shown and result.session is not None:
            return result.session
    if frame.default is not None:
        return frame.default
    if frame.conversation is not None:
        return frame.conversation
    return next((r.session for _, r in ran if r.session is not None), Session("", "flow"))


def _fits(planned: PlannedVertex, kind: str) -> bool:
    return kind in planned.vertex.id.lower() or planned.component.output_kind == kind
