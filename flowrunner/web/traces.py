"""The monitor API: runs as traces, which clients of Langflow list."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from flask import Response
from marshmallow import Schema, fields

from flowrunner.authority import CONVERSE
from flowrunner.web.access import flows_in_reach
from flowrunner.web.auth import caller, this_runner
from flowrunner.web.fields import Choice, Number, filter_text
from flowrunner.web.json_io import json_response
from flowrunner.web.messages import FLOW
from flowrunner.web.route import Input, RouteGroup

MOST_TRACES: Final = 200

routes = RouteGroup("records")

#: What a trace says of the states of a run.
_STATES: Final = {"unset": ("queued", "running"), "ok": ("success",), "error": ("error", "cancelled", "lost")}
_STATUS: Final = {state: status for status, states in _STATES.items() for state in states}


class Trace(Schema):
    """A run, as a trace; the names of the members are those of the reference server."""

    id = fields.String(required=True)
    name = fields.String(required=True)
    status = fields.String(required=True, metadata={"enum": list(_STATES)})
    startTime = fields.String(required=True, allow_none=True)  # noqa: N815
    totalLatencyMs = fields.Integer(required=True)  # noqa: N815
    totalTokens = fields.Integer(required=True)  # noqa: N815
    flowId = fields.String(required=True)  # noqa: N815
    sessionId = fields.String(required=True)  # noqa: N815
    input = fields.Dict(required=True, allow_none=True)
    output = fields.Dict(required=True, allow_none=True)


class TracePage(Schema):
    """A page of traces, newest first."""

    traces = fields.List(fields.Nested(Trace), required=True)
    total = fields.Integer(required=True)
    pages = fields.Integer(required=True)


@routes.get(
    "/api/v1/monitor/traces",
    needs=CONVERSE,
    query={
        "flow_id": FLOW,
        "session_id": filter_text("Only runs in this session."),
        "status": Choice(*_STATES, help="Only traces with this status."),
        "page": Number("Number of the page, from 1; 0 is the first, too.", low=0, load_default=1),
        "size": Number("Traces on a page.", low=1, high=MOST_TRACES, load_default=50),
    },
    answers={200: TracePage},
)
def list_traces(query: Input) -> Response:
    """List runs as traces, newest first."""
    flows, flow_id = flows_in_reach(this_runner(), caller()), query["flow_id"]
    log = this_runner().stores.run_log
    if log is None or (flow_id is not None and flows is not None and flow_id not in flows):
        return json_response({"traces": [], "total": 0, "pages": 0})
    page, size = max(1, query["page"]), query["size"]
    states = None if query["status"] is None else _STATES[query["status"]]
    found, total = log.page_of_runs(
        caller().scope,
        flow_id=flow_id,
        flows=flows,
        session_id=query["session_id"],
        states=states,
        page=page,
        size=size,
    )
    return json_response({"traces": [_trace(run) for run in found], "total": total, "pages": -(-total // size)})


def _trace(run: dict[str, Any]) -> dict[str, Any]:
    """Return a run as a trace. Tokens, input and output stand in its messages; the run log has no copy of them."""
    session = run["session"] or {}
    return {
        "id": run["id"],
        "name": run["flow_name"] or "",
        "status": _STATUS[run["status"]],
        "startTime": run["started_at"],
        "totalLatencyMs": _milliseconds(run),
        "totalTokens": 0,
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
