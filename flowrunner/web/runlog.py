"""The monitor API: builds, transactions and runs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from marshmallow import fields

from flowrunner.authority import AUTHOR, CONVERSE, sees_graphs
from flowrunner.memory.paging import fitting
from flowrunner.store.ledger import RUN_STATES
from flowrunner.web import schemas
from flowrunner.web.access import flows_in_reach, run_log_of, run_records
from flowrunner.web.auth import caller
from flowrunner.web.fields import Choice, Flag, Number, Uuid, filter_text
from flowrunner.web.pages import FLOW, next_page, numbered, one_page
from flowrunner.web.route import Input, RouteGroup
from flowrunner.web.schemas import answer, member

MOST_TRANSACTIONS: Final = 100
MOST_RUNS: Final = 100
MOST_STEPS: Final = 200

routes = RouteGroup("records")

#: The flow whose records are meant.
THIS_FLOW: Final = Uuid("Id of the flow.", required=True)

#: What a component made in a run, without secrets.
Build: Final = answer(
    "Build",
    id=member(str, "Id of the component in the flow."),
    build_id=UUID,
    flow_id=str,
    job_id=member(str, "Id of the run."),
    valid=bool,
    timestamp=datetime,
    params=str | None,
    artifacts=dict,
    data=dict,
)

#: Builds by component.
Builds: Final = answer(
    "Builds", vertex_builds=fields.Dict(keys=fields.String(), values=fields.List(fields.Nested(Build)), required=True)
)

#: What went into a component and came out of it, without secrets.
Transaction: Final = answer(
    "Transaction",
    id=UUID,
    timestamp=datetime,
    vertex_id=str,
    target_id=str | None,
    inputs=dict | None,
    outputs=dict | None,
    status=member(str, enum=["success", "error"]),
)

TransactionPage: Final = answer("TransactionPage", items=[Transaction], total=int, page=int, size=int, pages=int)


#: A run.
RunSummary: Final = answer(
    "RunSummary",
    id=str,
    flow_id=str,
    flow_name=str | None,
    content_hash=str | None,
    session=schemas.Session | None,
    status=member(str, enum=list(RUN_STATES)),
    kind=str,
    error=dict | None,
    accepted_at=datetime,
    started_at=datetime | None,
    ended_at=datetime | None,
    duration=float | None,
    warnings=[str],
)

RunPage: Final = answer("RunPage", items=[RunSummary], cursor=str | None)
#: What a model took, and which one that was.
Usage: Final = answer("Usage", model=str | None, input_tokens=int, output_tokens=int, total_tokens=int)

#: What a component did in a run, when, and with what, without secrets.
Step: Final = answer(
    "Step",
    number=int,
    vertex_id=str,
    name=str,
    type=str,
    status=member(str, enum=["success", "error", "cancelled"]),
    started_at=datetime,
    ended_at=datetime,
    duration=float,
    inputs=dict,
    outputs=dict,
    untaken=member([str], "Outputs without a value: branches not taken."),
    used_frozen_result=bool,
    error=str | None,
    usage=Usage | None,
)

StepPage: Final = answer("StepPage", steps=[Step], cursor=int | None)


@routes.get(
    "/api/v1/monitor/builds",
    needs=AUTHOR,
    query={"flow_id": THIS_FLOW, "all": Flag("Show all stored builds, newest first.")},
    answers={200: Builds},
)
def list_builds(query: Input) -> dict[str, Any]:
    """List the newest build of each component of a flow, or all stored builds."""
    flow_id = query["flow_id"]
    log = run_log_of(flow_id)
    return {"vertex_builds": log.builds(flow_id, caller().scope, every=bool(query["all"])) if log else {}}


@routes.delete("/api/v1/monitor/builds", needs=AUTHOR, query={"flow_id": THIS_FLOW}, answers={204: None})
def delete_builds(query: Input) -> None:
    """Delete the builds of a flow."""
    log = run_log_of(query["flow_id"])
    if log is not None:
        log.delete_builds(query["flow_id"], caller().id)


@routes.get(
    "/api/v1/monitor/transactions",
    needs=AUTHOR,
    query={"flow_id": THIS_FLOW, **numbered("Transactions", MOST_TRANSACTIONS)},
    answers={200: TransactionPage},
)
def list_transactions(query: Input) -> dict[str, Any]:
    """List the inputs and outputs of a flow's components, newest first."""
    flow_id, page, size = query["flow_id"], query["page"], query["size"]
    log = run_log_of(flow_id)
    if log is None:
        return one_page([], 1, size)
    return log.transactions(flow_id, caller().scope, page=page, size=size)


@routes.get(
    "/api/v1/runs",
    needs=CONVERSE,
    query={
        "flow_id": FLOW,
        "session_id": filter_text("Only runs of this session."),
        "status": Choice(*RUN_STATES, help="Only runs with this status."),
        "limit": Number("Show at most N.", low=1, high=MOST_RUNS, load_default=50),
        "cursor": Uuid("Only runs older than this one."),
    },
    answers={200: RunPage},
    pages=True,
)
def list_runs(query: Input) -> Any:
    """List runs, newest first."""
    flow_id, limit = query["flow_id"], query["limit"]
    log = run_log_of(flow_id)
    if log is None:
        return {"items": [], "cursor": None}
    found = log.runs(
        caller().scope,
        flow_id=flow_id,
        flows=flows_in_reach(),
        session_id=query["session_id"],
        status=query["status"],
        before=query["cursor"],
        limit=limit + 1,
    )
    number = fitting(len(str(run)) for run in found[:limit])
    following = found[number - 1]["id"] if len(found) > number else None
    items = found[:number] if sees_graphs(caller()) else [without_parts(run) for run in found[:number]]
    return {"items": items, "cursor": following}, next_page(following)


@routes.get(
    "/api/v1/runs/<run_id>/steps",
    needs=AUTHOR,
    path={"run_id": Uuid()},
    query={
        "after": Number("Only the steps after the one with this number.", load_default=None, allow_none=True),
        "limit": Number("Show at most N.", low=1, high=MOST_STEPS, load_default=100),
    },
    answers={200: StepPage},
)
def list_steps(run_id: str, query: Input) -> dict[str, Any]:
    """List the steps of a run: each component with times, inputs and result.

    This includes the steps so far of a run in progress. A component in a loop has one step per iteration.
    `cursor` is the value of `after` for the next page, null on the last page.
    """
    after = -1 if query["after"] is None else query["after"]
    found, more = run_records().steps(run_id, caller().scope, after=after, limit=query["limit"])
    return {"steps": found, "cursor": found[-1]["number"] if more else None}


def without_parts(run: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record of a run without its warnings and components, which reveal the graph of the flow."""
    return {name: [] if name in ("warnings", "vertices") else value for name, value in run.items()}
