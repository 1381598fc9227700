"""Describe a flow before it runs: its components, its edges, and what decides each session."""

from __future__ import annotations

from typing import Any

from flowrunner.engine.explain import explain
from flowrunner.errors import FlowRunnerError
from flowrunner.flows.model import Flow
from flowrunner.runner import Runner


def describe_flow(runner: Runner, flow: Flow, *, session_id: str = "") -> dict[str, Any]:
    """Return the facts of a flow, also of one that cannot run: then ``problem`` says why.

    :param session_id: the session that a request would name.
    """
    names, rows, warnings, problem = {}, {}, [], None
    try:
        plan = runner.plan(flow)
        names = {planned.vertex.id: planned.display_name for planned in plan.vertices}
        found = explain(plan, session_id=session_id, policy=runner.settings.session_policy)
        rows = {row.vertex: row for row in found.rows}
        warnings = list(found.warnings)
    except FlowRunnerError as error:
        problem = error.message
    return {
        "flow_id": flow.id,
        "content_hash": flow.content_hash,
        "name": flow.name,
        "description": flow.description,
        "problem": problem,
        "warnings": warnings,
        "vertices": [_vertex(vertex, names.get(vertex.id), rows.get(vertex.id)) for vertex in flow.vertices],
        "edges": [{"source": e.source, "output": e.output, "target": e.target, "input": e.input} for e in flow.edges],
    }


def names_of(runner: Runner, flow: Flow) -> dict[str, str]:
    """Return the names of a flow's components by vertex id, as far as they are known."""
    found = {}
    for vertex in flow.vertices:
        component = runner.plugins.registry.component(vertex.type)
        name = vertex.display_name or (component.display_name if component is not None else "")
        found[vertex.id] = name or vertex.type
    return found


def _vertex(vertex: Any, name: str | None, row: Any) -> dict[str, Any]:
    known = row.to_json() if row is not None else {}
    return {
        "id": vertex.id,
        "name": name or vertex.shown_name,
        "type": vertex.type,
        "runs": row is not None,
        "session": known.get("session"),
        "decided_by": known.get("decided_by"),
        "reads": known.get("reads", False),
        "writes": known.get("writes", False),
    }
