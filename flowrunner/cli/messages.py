"""``flowrunner messages``: list, edit and delete messages."""

from __future__ import annotations

import click

from flowrunner.cli.context import Where, memory_options, open_memory
from flowrunner.cli.lookups import flow_id_of, refuse_nothing
from flowrunner.cli.output import say
from flowrunner.cli.owners import Whose, owner_options, print_json, print_table, shown_time
from flowrunner.cli.suggestions import SuggestingGroup
from flowrunner.errors import NotFound
from flowrunner.memory import MessageChanges


@click.group("messages", cls=SuggestingGroup, invoke_without_command=True)
@click.option("--session-id", "--session", "session_id", help="Only this session.")
@click.option("--flow", help="Only messages of this flow: id, endpoint name or name.")
@click.option("--sender", help="Only this sender: User or Machine.")
@click.option("--search", "text", help="Only messages that contain all these words.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1), help="Show at most N.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@owner_options
@memory_options
@click.pass_context
def messages_commands(
    ctx: click.Context,
    session_id: str | None,
    flow: str | None,
    sender: str | None,
    text: str | None,
    limit: int,
    as_json: bool,
    whose: Whose,
    where: Where,
) -> None:
    """List the newest messages, oldest first, or edit or delete messages."""
    if ctx.invoked_subcommand is not None:
        return
    from flowrunner.engine.shapes import message_row

    owner = whose.read()
    with open_memory(where) as (opened, place):
        flow_id = flow_id_of(place, flow, owner)
        found = opened.for_owner(owner).fetch(
            session_id=session_id, flow_id=flow_id, sender=sender, text=text, limit=limit
        )
        if not found:
            refuse_nothing(place, opened, owner, flow=flow, session_id=session_id, user=whose.user)
    rows = [{**message_row(message), "owner": message.owner} for message in found]
    if as_json:
        print_json(rows)
        return
    heads = ("id", "session_id", "sender_name", "text")
    print_table(
        ("time", "id", "session", "sender", "text"),
        [[shown_time(row["timestamp"]), *(row[head] for head in heads)] for row in rows],
    )


@messages_commands.command("edit")
@click.argument("message_id")
@click.argument("text")
@owner_options
@memory_options
def edit_command(message_id: str, text: str, whose: Whose, where: Where) -> None:
    """Change the text of a message to TEXT, and mark it as edited."""
    owner = whose.need()
    with open_memory(where) as (opened, _):
        if not opened.for_owner(owner).update(MessageChanges(text=text, edit=True), ids=(message_id,)):
            raise NotFound(f"This owner has no message {message_id}.")
    say(f"edited {message_id}")


@messages_commands.command("delete")
@click.argument("message_ids", nargs=-1, required=True)
@owner_options
@memory_options
def delete_command(message_ids: tuple[str, ...], whose: Whose, where: Where) -> None:
    """Delete messages by their ids."""
    owner = whose.need()
    with open_memory(where) as (opened, _):
        bound = opened.for_owner(owner)
        there = {message.id for message in bound.fetch(ids=message_ids)}
        gone = bound.delete(ids=message_ids)
    if lacking := [name for name in message_ids if name not in there]:
        raise NotFound(f"This owner has no message {', '.join(lacking)}; deleted {gone} others.")
    say(f"deleted {gone} messages")
