"""``flowrunner runs``: list and show runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from flowrunner.cli.context import Place, Where, data_options, open_place
from flowrunner.cli.lookups import flow_id_of, refuse_nothing
from flowrunner.cli.output import say
from flowrunner.cli.owners import Whose, owner_options, print_json, print_table, shown_time
from flowrunner.cli.suggestions import SuggestingGroup
from flowrunner.errors import NotFound
from flowrunner.memory import EVERY_OWNER

if TYPE_CHECKING:
    from flowrunner.store.runrecords import RunRecords


@click.group("runs", cls=SuggestingGroup, invoke_without_command=True)
@click.option("--flow", help="Only runs of this flow: id, endpoint name or name.")
@click.option("--session-id", "--session", "session_id", help="Only runs in this session.")
@click.option(
    "--status", type=click.Choice(["queued", "running", "success", "error", "cancelled", "lost"]), help="Only these."
)
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1), help="Show at most N.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@owner_options
@data_options
@click.pass_context
def runs_commands(
    ctx: click.Context,
    flow: str | None,
    session_id: str | None,
    status: str | None,
    limit: int,
    as_json: bool,
    whose: Whose,
    where: Where,
) -> None:
    """List runs, newest first, or show one."""
    if ctx.invoked_subcommand is not None:
        return
    owner = whose.read()
    with _records(where) as (records, place):
        flow_id = flow_id_of(place, flow, owner)
        found = records.runs(owner, flow_id=flow_id, session_id=session_id, status=status, limit=limit)
        if not found:
            known = flow is not None and records.runs(owner, flow_id=flow_id, limit=1)
            refuse_nothing(place, None, owner, flow=None if known else flow, user=whose.user)
            if session_id is not None and not records.runs(owner, session_id=session_id, limit=1):
                raise NotFound(f"There is no run in a session {session_id}.")
    if as_json:
        print_json(found)
        return
    rows = [
        [
            shown_time(run["started_at"] or run["accepted_at"]),
            run["id"],
            run["status"],
            _seconds(run["duration"]),
            run["flow_name"] or run["flow_id"],
            _session(run),
        ]
        for run in found
    ]
    print_table(("started", "id", "status", "took", "flow", "session"), rows)


@runs_commands.command("show")
@click.argument("run_id")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@data_options
def show_command(run_id: str, as_json: bool, where: Where) -> None:
    """Show the run RUN_ID: its session, what decided it, and each component."""
    with _records(where) as (records, _):
        run = records.run(run_id, EVERY_OWNER)
    if as_json:
        print_json(run)
        return
    took = "" if run["duration"] is None else f" after {_seconds(run['duration'])}"
    say(f"{run['id']}: {run['status']}{took}, started {shown_time(run['started_at']) or 'never'}")
    content = f", content {run['content_hash'][:12]}" if run["content_hash"] else ""
    say(f"flow {run['flow_name'] or ''} ({run['flow_id']}{content})")
    session = run["session"]
    if session is not None:
        by = f"{session['source'] or ''}" + (f" {session['component']}" if session["component"] else "")
        print_table(("session", "decided by"), [[session["id"], by]])
    if run["error"] is not None:
        said = run["error"]["message"].removeprefix("Error running graph: Error building Component ")
        print_table(("error", "what"), [[run["error"]["code"], said]])
    rows = [[v["id"], v["type"], v["status"], _seconds(v["duration"])] for v in run["vertices"]]
    print_table(("component", "type", "status", "took"), rows)


@contextmanager
def _records(where: Where) -> Iterator[tuple[RunRecords, Place]]:
    from flowrunner.store.runrecords import RunRecords
    from flowrunner.store.tables import SCHEMA

    with open_place(where) as place:
        SCHEMA.ensure(place.engine)
        yield RunRecords(place.engine, place.settings.run_log_per_vertex), place


def _seconds(seconds: Any) -> str:
    return "" if seconds is None else f"{seconds:.3f} s"


def _session(run: dict[str, Any]) -> str:
    return run["session"]["id"] if run["session"] is not None else ""
