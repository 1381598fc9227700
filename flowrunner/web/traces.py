"""The monitor API: runs as traces, which clients of Langflow list."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from flowrunner.authority import CONVERSE, sees_graphs
from flowrunner.errors import NotFound
from flowrunner.web.access import flows_in_reach, in_reach, run_log_of
from flowrunner.web.auth import caller, this_runner
from flowrunner.web.fields import Choice, Uuid, filter_text
from flowrunner.web.pages import FLOW, numbered
from flowrunner.web.route import Input, RouteGroup
from flowrunner.web.schemas import answer, member

MOST_TRACES: Final = 200
#: The maximum number of spans per trace; a run with a loop may have any number.
MOST_SPANS: Final = 1000

routes = RouteGroup("records")

#: What a trace says of the states of a run.
_STATES: Final = {"unset": ("queued", "running"), "ok": ("success",), "error": ("error", "cancelled", "lost")}
#: Members of a usage, and what they are called.
_TOKENS: Final = {"promptTokens": "input_tokens", "completionTokens": "output_tokens", "totalTokens": "total_tokens"}
_STATUS: Final = {state: status for status, states in _STATES.items() for state in states}


#: A run, as a trace; the names of the members are those of the reference server.
Trace: Final = answer(
    "Trace",
    id=str,
    name=str,
    status=member(str, enum=list(_STATES)),
    startTime=str | None,
    totalLatencyMs=int,
    totalTokens=int,
    flowId=str,
    sessionId=str,
    input=dict | None,
    output=dict | None,
)

#: What a model took.
TokenUsage: Final = answer("TokenUsage", **dict.fromkeys(_TOKENS, int))

#: A component in a run, without secrets.
Span: Final = answer(
    "Span",
    id=UUID,
    name=str,
    type=member(str, enum=["agent", "chain", "embedding", "llm", "retriever"]),
    status=member(str, enum=["ok", "error"]),
    startTime=str,
    endTime=str,
    latencyMs=int,
    inputs=dict,
    outputs=dict,
    error=str | None,
    modelName=str | None,
    tokenUsage=TokenUsage | None,
    children=[dict],
)

#: A run as a trace, with a span for each component, in the order in which they ended.
WholeTrace: Final = answer("WholeTrace", Trace, endTime=str | None, spans=[Span])

TracePage: Final = answer("TracePage", traces=[Trace], total=int, pages=int)


@routes.get(
    "/api/v1/monitor/traces",
    needs=CONVERSE,
    query={
        "flow_id": FLOW,
        "session_id": filter_text("Only runs of this session."),
        "status": Choice(*_STATES, help="Only traces with this status."),
        **numbered("Traces", MOST_TRACES, help="Page number, from 1; 0 is the first page as well.", low=0),
    },
    answers={200: TracePage},
)
def list_traces(query: Input) -> dict[str, Any]:
    """List runs as traces, newest first."""
    log = run_log_of(query["flow_id"])
    if log is None:
        return {"traces": [], "total": 0, "pages": 0}
    found, total = log.page_of_runs(
        caller().scope,
        flow_id=query["flow_id"],
        flows=flows_in_reach(),
        session_id=query["session_id"],
        states=None if query["status"] is None else _STATES[query["status"]],
        page=max(1, query["page"]),
        size=query["size"],
    )
    tokens = log.tokens([run["id"] for run in found], caller().scope)
    traces = [_trace(run, tokens[run["id"]]) for run in found]
    return {"traces": traces, "total": total, "pages": -(-total // query["size"])}


@routes.get("/api/v1/monitor/traces/<trace_id>", needs=CONVERSE, path={"trace_id": Uuid()}, answers={200: WholeTrace})
def read_trace(trace_id: str) -> dict[str, Any]:
    """Show a run as a trace: its times, its tokens, and a span for each component.

    Callers who may run the flow but not see its graph get no spans, input or output. If a run has more than 1,000
    components, or more than fit in an answer, the first ones are shown.
    """
    log, scope = this_runner().stores.run_log, caller().scope
    run = None if log is None else log.run(trace_id, scope)
    if log is None or run is None or not in_reach(run["flow_id"]):
        raise NotFound("Trace not found")
    shown = {**_trace(run, log.tokens([trace_id], scope)[trace_id]), "endTime": run["ended_at"], "spans": []}
    if sees_graphs(caller()):
        steps, _ = log.steps(trace_id, scope, limit=MOST_SPANS)
        shown |= {**_said(steps), "spans": [_span(trace_id, step) for step in steps]}
    return shown


def _said(steps: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the inputs of the first input component, and the outputs of the last output component."""
    component = this_runner().plugins.registry.component
    known = [(step, kind) for step in steps if (kind := component(step["type"])) is not None]
    first = next((step["inputs"] for step, kind in known if kind.input_kind), None)
    last = next((step["outputs"] for step, kind in reversed(known) if kind.output_kind), None)
    return {"input": first, "output": last}


def _span(trace_id: str, step: Mapping[str, Any]) -> dict[str, Any]:
    usage = step["usage"]
    return {
        "id": str(uuid.uuid5(uuid.UUID(trace_id), str(step["number"]))),
        "name": step["name"],
        "type": _type(step),
        "status": "ok" if step["status"] == "success" else "error",
        "startTime": step["started_at"],
        "endTime": step["ended_at"],
        "latencyMs": round(step["duration"] * 1000),
        "inputs": step["inputs"],
        "outputs": step["outputs"],
        "error": step["error"],
        "modelName": None if usage is None else usage["model"],
        "tokenUsage": None if usage is None else {name: usage[member] for name, member in _TOKENS.items()},
        "children": [],
    }


def _type(step: Mapping[str, Any]) -> str:
    """Return the type of a span in the terms of the reference server."""
    if "agent" in step["type"].lower():
        return "agent"
    if step["usage"] is not None:
        return "llm"
    component = this_runner().plugins.registry.component(step["type"])
    gives = {output.type for output in component.outputs} if component is not None else set()
    if "Embeddings" in gives:
        return "embedding"
    return "retriever" if "Retriever" in gives else "chain"


def _trace(run: dict[str, Any], tokens: int) -> dict[str, Any]:
    """Return a run as a trace, without input and output, which are in its steps and messages."""
    session = run["session"] or {}
    return {
        "id": run["id"],
        "name": run["flow_name"] or "",
        "status": _STATUS[run["status"]],
        "startTime": run["started_at"],
        "totalLatencyMs": _milliseconds(run),
        "totalTokens": tokens,
        "flowId": run["flow_id"],
        "sessionId": session.get("id") or "",
        "input": None,
        "output": None,
    }


def _milliseconds(run: dict[str, Any]) -> int:
    duration: float | None = run["duration"]
    if duration is not None:
        return round(duration * 1000)
    if run["started_at"] is None or run["ended_at"] is None:
        return 0
    start, end = (datetime.fromisoformat(run[name].replace("Z", "+00:00")) for name in ("started_at", "ended_at"))
    return max(0, round((end - start).total_seconds() * 1000))
