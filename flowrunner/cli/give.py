"""``flowrunner memory give``: transfer the data of one owner to another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from flowrunner.cli.context import Place, Where, memory_options, open_memory
from flowrunner.cli.lookups import refuse_nothing
from flowrunner.cli.output import say
from flowrunner.errors import BadRequest
from flowrunner.text.digests import digest_of

if TYPE_CHECKING:
    from flowrunner.store.files import FileStore


@click.command("give")
@click.option("--from", "source", required=True, help="Current owner: the user of an API key, or local.")
@click.option("--to", "target", required=True, help="New owner: the user of an API key, or local.")
@click.option("--messages-only", is_flag=True, help="Transfer conversations only, no flows, variables, files or runs.")
@click.option("--dry-run", is_flag=True, help="Change nothing; show what would be transferred.")
@memory_options
def give_command(source: str, target: str, messages_only: bool, dry_run: bool, where: Where) -> None:
    """Transfer an owner's conversations, flows, variables, files and runs to another owner.

    Stop what writes into these conversations first. What is interrupted is finished by the same
    command. An owner that is not a user of keys is named by id.
    """
    from flowrunner.memory.ownership import give_messages
    from flowrunner.memory.paging import each_session
    from flowrunner.store.ownership import count_things, give_files, give_things, plan_files
    from flowrunner.store.tables import SCHEMA

    giver, taker = owner_named(source), owner_named(target)
    if giver == taker:
        raise BadRequest("Nothing to do: --from and --to name the same owner.")
    with open_memory(where) as (opened, place):
        SCHEMA.ensure(place.engine)
        if dry_run:
            counts = {"messages": sum(summary.count for summary in each_session(opened.for_owner(giver)))}
            counts.update({} if messages_only else count_things(place.engine, giver))
            say(f"would give {shown_counts(counts)} of {source} to {target}")
            return
        folder, files = place.settings.data_dir, _file_store(place)
        plan = [] if messages_only else plan_files(place.engine, files, giver, taker)
        journal = folder / f"give-{digest_of(giver)[:16]}-{digest_of(taker)[:16]}.jsonl"
        paths = {step["old"]: step["new"] for step in plan}
        done = give_messages(opened, giver, taker, journal, paths=paths)
        counts = {"messages": done.messages}
        for session_id in done.merged:
            say(f"The session {session_id} already existed; the two were merged in order of time.", err=True)
        if not messages_only:
            counts["files"] = give_files(place.engine, files, plan, giver, taker)
            things = give_things(place.engine, folder, giver, taker)
            counts.update(things.counts)
            for note in things.notes:
                say(note, err=True)
        if not any(counts.values()):
            refuse_nothing(place, opened, giver, user=source)
    say(f"gave {shown_counts(counts)} of {source} to {target}")


def owner_named(name: str) -> str:
    """Return the id of an owner who is named: a user of keys, ``local``, or an id as it stands."""
    import uuid

    from flowrunner.store.keys import owner_of_user

    try:
        return str(uuid.UUID(name))
    except ValueError:
        return owner_of_user(name)


def what_local_has(place: Place) -> dict[str, int]:
    """Return how much the local user has, for whoever makes the first key; nothing if it cannot be known."""
    from flowrunner.identity import LOCAL_IDENTITY
    from flowrunner.store.ownership import count_things

    counts = count_things(place.engine, LOCAL_IDENTITY.id)
    place.plugins.hand_out_settings(place.settings)
    memory = place.plugins.open_memory(None, place.settings)
    try:
        sessions = memory.for_owner(LOCAL_IDENTITY.id).sessions(limit=1000) if memory.backend.durable else []
    finally:
        memory.close()
    return {"messages": sum(summary.count for summary in sessions), **counts}


def _file_store(place: Place) -> FileStore:
    from flowrunner.store.bounds import bound_of
    from flowrunner.store.files import FileStore

    settings = place.settings
    each = bound_of(settings, "MAX_FILES")
    folder = settings.files_dir or settings.data_dir / "files"
    return FileStore(place.engine, folder, max_size=settings.max_file_size, each=each)


def shown_counts(counts: dict[str, int]) -> str:
    """Return counts as a sentence has them."""
    return ", ".join(f"{count} {word}" for word, count in counts.items() if count) or "nothing"
