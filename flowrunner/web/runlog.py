"""The monitor API: what each component did, and what became of each run."""

from __future__ import annotations

from typing import Any, Final

from flask import Response

from flowrunner.authority import AUTHOR, CONVERSE
from flowrunner.errors import NotFound
from flowrunner.runner import Runner
from flowrunner.store.ledger import RUN_STATES
from flowrunner.web.auth import caller
from flowrunner.web.blueprint import Routes
from flowrunner.web.jsons import empty_response, json_response
from flowrunner.web.messages import message_rows, with_cursor
from flowrunner.web.parameters import invalid, query_boolean, query_integer, query_text, query_uuid, read_uuid
from flowrunner.web.reach import flows_in_reach, messages_to_read

MOST_TRANSACTIONS: Final = 100
MOST_RUNS: Final = 100


def add_run_log_routes(routes: Routes) -> None:
    """Add builds and transactions under ``/api/v1/monitor``, and ``/api/v1/runs``."""
    views = RunLogViews(routes.runner)
    monitor = "/api/v1/monitor"
    routes.add(f"{monitor}/builds", views.builds, methods=["GET"], name="list_builds", needs=AUTHOR)
    routes.add(f"{monitor}/builds", views.delete_builds, methods=["DELETE"], name="delete_builds", needs=AUTHOR)
    routes.add(f"{monitor}/transactions", views.transactions, methods=["GET"], name="list_transactions", needs=AUTHOR)
    routes.add("/api/v1/runs", views.runs, methods=["GET"], name="list_runs", needs=CONVERSE)
    routes.add("/api/v1/runs/<run_id>", views.run, methods=["GET"], name="read_run", needs=CONVERSE)


class RunLogViews:
    """The views; all read the run log, within the reach of the caller. Without a run log, nothing is there."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    def builds(self) -> Response:
        """List the newest build of each component of a flow; with ``all`` every one that is kept."""
        flow_id, every = _flow_id(), query_boolean("all")
        log = self._log(flow_id)
        return json_response({"vertex_builds": {} if log is None else log.builds(flow_id, caller().scope, every=every)})

    def delete_builds(self) -> Response:
        """Delete the builds of a flow."""
        flow_id = _flow_id()
        log = self._log(flow_id)
        if log is not None:
            log.delete_builds(flow_id, caller().id)
        return empty_response()

    def transactions(self) -> Response:
        """List the transactions of a flow, newest first, page by page."""
        page, size = query_integer("page", 1, low=1), query_integer("size", 50, low=1, high=MOST_TRANSACTIONS)
        flow_id = _flow_id()
        log = self._log(flow_id)
        if log is None:
            return json_response({"items": [], "total": 0, "page": 1, "size": size, "pages": 0})
        return json_response(log.transactions(flow_id, caller().scope, page=page, size=size))

    def runs(self) -> Response:
        """List runs, newest first."""
        limit = query_integer("limit", 50, low=1, high=MOST_RUNS)
        flow_id, session_id, status = query_uuid("flow_id"), query_text("session_id"), query_text("status")
        cursor = query_uuid("cursor")
        if status is not None and status not in RUN_STATES:
            raise invalid(("query", "status"), "enum", f"Input should be one of {', '.join(RUN_STATES)}")
        log = self._log(flow_id)
        if log is None:
            return json_response({"items": [], "cursor": None})
        found = log.runs(
            caller().scope,
            flow_id=flow_id,
            flows=flows_in_reach(self._runner, caller()),
            session_id=session_id,
            status=status,
            before=cursor,
            limit=limit + 1,
        )
        following = found[limit - 1]["id"] if len(found) > limit else None
        return with_cursor(json_response({"items": found[:limit], "cursor": following}), following)

    def run(self, run_id: str) -> Response:
        """Show one run: its session and who decided it, its components with their timings, its messages."""
        canonical = read_uuid(run_id, ("path", "run_id"))
        log = self._runner.stores.run_log
        if log is None:
            raise NotFound("Run not found")
        shown = log.run(canonical, caller().scope)
        flows = flows_in_reach(self._runner, caller())
        if flows is not None and shown["flow_id"] not in flows:
            raise NotFound("Run not found")
        return json_response(
            {**shown, "messages": message_rows(messages_to_read(self._runner).fetch(run_id=canonical))}
        )

    def _log(self, flow_id: str | None) -> Any:
        """Return the run log; None where there is none, or the flow is out of the caller's reach."""
        flows = flows_in_reach(self._runner, caller())
        if flow_id is not None and flows is not None and flow_id not in flows:
            return None
        return self._runner.stores.run_log


def _flow_id() -> str:
    found = query_uuid("flow_id")
    if found is None:
        raise invalid(("query", "flow_id"), "missing", "Field required")
    return found
