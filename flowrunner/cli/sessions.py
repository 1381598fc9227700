"""``flowrunner sessions``: list, rename and delete sessions."""

from __future__ import annotations

import click

from flowrunner.cli.context import Where, memory_options, open_memory
from flowrunner.cli.lookups import flow_id_of, no_session, refuse_nothing
from flowrunner.cli.output import say
from flowrunner.cli.owners import Whose, owner_options, print_json, print_table, shown_time
from flowrunner.cli.suggestions import SuggestingGroup
from flowrunner.errors import NotFound
from flowrunner.memory import MessageChanges


@click.group("sessions", cls=SuggestingGroup, invoke_without_command=True)
@click.option("--flow", help="Only sessions with messages of this flow: id, endpoint name or name.")
@click.option("--search", help="Only session ids that contain this text.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1), help="Show at most N.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@owner_options
@memory_options
@click.pass_context
def sessions_commands(
    ctx: click.Context, flow: str | None, search: str | None, limit: int, as_json: bool, whose: Whose, where: Where
) -> None:
    """List sessions, latest activity first, or rename or delete sessions."""
    if ctx.invoked_subcommand is not None:
        return
    from flowrunner.memory.summaries import session_row, title_from

    owner = whose.read()
    with open_memory(where) as (opened, place):
        flow_id = flow_id_of(place, flow, owner)
        found = opened.for_owner(owner).sessions(flow_id=flow_id, contains=search, limit=limit)
        if not found:
            refuse_nothing(place, opened, owner, flow=flow, user=whose.user)
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
@memory_options
def rename_command(old: str, new: str, whose: Whose, where: Where) -> None:
    """Rename session OLD to NEW. If NEW exists, the two are merged."""
    owner = whose.need()
    with open_memory(where) as (opened, _):
        moved = opened.for_owner(owner).update(MessageChanges(session_id=new), session_id=old)
        if not moved:
            raise no_session(opened, owner, old)
    say(f"moved {len(moved)} messages")


@sessions_commands.command("delete")
@click.argument("session_ids", nargs=-1, required=True)
@owner_options
@memory_options
def delete_command(session_ids: tuple[str, ...], whose: Whose, where: Where) -> None:
    """Delete the messages of sessions."""
    owner = whose.need()
    with open_memory(where) as (opened, _):
        bound = opened.for_owner(owner)
        counts = {session_id: bound.delete(session_id=session_id) for session_id in session_ids}
        gone = sum(counts.values())
        if lacking := [session_id for session_id, count in counts.items() if not count]:
            error = no_session(opened, owner, lacking[0])
            raise error if not gone else NotFound(f"{error.message} Deleted {gone} messages of the others.")
    say(f"deleted {gone} messages")
