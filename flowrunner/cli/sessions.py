"""``flowrunner sessions``: list, rename and delete sessions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from flowrunner.cli.context import open_memory
from flowrunner.cli.output import say
from flowrunner.cli.owners import need_owner, owner_options, print_json, print_table, read_owner
from flowrunner.cli.suggestions import SuggestingGroup
from flowrunner.errors import NotFound
from flowrunner.memory import MessageChanges


@click.group("sessions", cls=SuggestingGroup, invoke_without_command=True)
@click.option("--flow", "flow_id", help="Only sessions with messages of this flow, by id.")
@click.option("--search", help="Only ids that contain this.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1), help="Show at most N.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@owner_options
@click.pass_context
def sessions_commands(
    ctx: click.Context,
    flow_id: str | None,
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

    with open_memory(data_dir=data_dir, database_url=database_url, settings=_set(memory)) as (opened, _):
        found = opened.for_owner(read_owner(user, owner)).sessions(flow_id=flow_id, contains=search, limit=limit)
        rows = [{**session_row(s, title_from(opened, s)), "owner": s.owner} for s in found]
    if as_json:
        print_json(rows)
        return
    heads = ("session_id", "count", "last_at", "owner", "title")
    print_table(("session", "messages", "last activity", "owner", "title"), [[row[h] for h in heads] for row in rows])


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
        raise NotFound(f"There is no session {old} of this owner.")
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
        gone = sum(bound.delete(session_id=session_id) for session_id in session_ids)
    say(f"deleted {gone} messages")


def _set(memory: str | None) -> dict[str, Any]:
    return {} if memory is None else {"MEMORY": memory}
