"""``flowrunner sessions``: list, rename and delete sessions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from flowrunner.cli.context import open_memory
from flowrunner.cli.lookups import flow_id_of, no_session, refuse_nothing
from flowrunner.cli.output import say
from flowrunner.cli.owners import need_owner, owner_options, print_json, print_table, read_owner, shown_time
from flowrunner.cli.suggestions import SuggestingGroup
from flowrunner.errors import NotFound
from flowrunner.memory import MessageChanges


@click.group("sessions", cls=SuggestingGroup, invoke_without_command=True)
@click.option("--flow", help="Only sessions with messages of this flow: id, endpoint name or name.")
@click.option("--search", help="Only session ids that contain this text.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1), help="Show at most N.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@owner_options
@click.pass_context
def sessions_commands(
    ctx: click.Context,
    flow: str | None,
    search: str | None,
    limit: int,
    as_json: bool,
    user: str | None,
    owner: str | None,
    memory: str | None,
    data_dir: Path | None,
    database_url: str | None,
) -> None:
    """List sessions, latest activity first, or rename or delete sessions."""
    if ctx.invoked_subcommand is not None:
        return
    from flowrunner.web.sessions import session_row, title_from

    whose = read_owner(user, owner)
    with open_memory(data_dir=data_dir, database_url=database_url, settings=_set(memory)) as (opened, place):
        flow_id = flow_id_of(place, flow, whose)
        found = opened.for_owner(whose).sessions(flow_id=flow_id, contains=search, limit=limit)
        if not found:
            refuse_nothing(place, opened, whose, flow=flow, user=user)
        rows = [{**session_row(s, title_from(opened, s)), "owner": s.owner} for s in found]
    if as_json:
        print_json(rows)
        return
    cells = [[r["session_id"], r["count"], shown_time(r["last_at"]), r["owner"], r["title"]] for r in rows]
    print_table(("session", "messages", "last activity", "owner", "title"), cells)


@sessions_commands.command("rename")
@click.argument("old")
@click.argument("new")
@owner_options
def rename_command(
    old: str,
    new: str,
    user: str | None,
    owner: str | None,
    memory: str | None,
    data_dir: Path | None,
    database_url: str | None,
) -> None:
    """Rename session OLD to NEW. If NEW exists, the two are merged."""
    whose = need_owner(user, owner)
    with open_memory(data_dir=data_dir, database_url=database_url, settings=_set(memory)) as (opened, _):
        moved = opened.for_owner(whose).update(MessageChanges(session_id=new), session_id=old)
        if not moved:
            raise no_session(opened, whose, old)
    say(f"moved {len(moved)} messages")


@sessions_commands.command("delete")
@click.argument("session_ids", nargs=-1, required=True)
@owner_options
def delete_command(
    session_ids: tuple[str, ...],
    user: str | None,
    owner: str | None,
    memory: str | None,
    data_dir: Path | None,
    database_url: str | None,
) -> None:
    """Delete the messages of sessions."""
    whose = need_owner(user, owner)
    with open_memory(data_dir=data_dir, database_url=database_url, settings=_set(memory)) as (opened, _):
        bound = opened.for_owner(whose)
        counts = {session_id: bound.delete(session_id=session_id) for session_id in session_ids}
        gone = sum(counts.values())
        if lacking := [session_id for session_id, count in counts.items() if not count]:
            error = no_session(opened, whose, lacking[0])
            raise error if not gone else NotFound(f"{error.message} Deleted {gone} messages of the others.")
    say(f"deleted {gone} messages")


def _set(memory: str | None) -> dict[str, Any]:
    return {} if memory is None else {"MEMORY": memory}
