"""``flowrunner memory``: purge, export, import, copy and compare stored conversations."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

import click

from flowrunner.cli.context import Place, Where, data_options, memory_options, open_memory
from flowrunner.cli.give import give_command
from flowrunner.cli.lookups import folder_flows, refuse_nothing
from flowrunner.cli.output import end_without_reader, end_without_room, say
from flowrunner.cli.owners import print_json
from flowrunner.cli.progress import progress
from flowrunner.cli.suggestions import SuggestingGroup
from flowrunner.cli.validate import validate_command
from flowrunner.errors import BadRequest
from flowrunner.memory import EVERY_OWNER


@click.group("memory", cls=SuggestingGroup)
def memory_commands() -> None:
    """Manage stored conversations. A server may be running."""


memory_commands.add_command(give_command)
memory_commands.add_command(validate_command)


@memory_commands.command("purge")
@click.option("--rules", help="Retention rules; default: FLOWRUNNER_MEMORY_RETENTION.")
@click.option("--dry-run", is_flag=True, help="Delete nothing; show what would be deleted.")
@memory_options
def purge_command(rules: str | None, dry_run: bool, where: Where) -> None:
    """Delete the messages that the retention rules do not keep."""
    from flowrunner.memory.purging import purge

    given = {} if rules is None else {"MEMORY_RETENTION": rules}
    with open_memory(where, given) as (opened, place):
        asked = place.settings.memory_retention
        if not asked:
            raise BadRequest("There are no retention rules: set FLOWRUNNER_MEMORY_RETENTION, or give --rules.")
        with progress(
            "messages removed", go_on="What was removed stays removed; run the command again to continue."
        ) as shown:
            for purged in purge(opened, asked, dry_run=dry_run, flow_names=_flow_names(place)):
                shown.add(purged.messages)
                shown.clear()
                done = "would remove" if dry_run else "removed"
                say(f"{purged.rule}: {done} {purged.messages} messages of {purged.sessions} sessions")


@memory_commands.command("export")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), required=False)
@click.option("--session-id", help="Only this session.")
@click.option("--owner", help="Only messages of this owner.")
@memory_options
def export_command(file: Path | None, session_id: str | None, owner: str | None, where: Where) -> None:
    """Export conversations to FILE, or to standard output, as JSON lines with every field, in order."""
    from flowrunner.memory.paging import each_session
    from flowrunner.memory.transfer import export_lines

    with open_memory(where) as (opened, place):
        whose = owner or EVERY_OWNER
        bound = opened.for_owner(whose)
        total = sum(one.count for one in each_session(bound)) if session_id is None else None
        unfinished = (
            "Nothing was written; run the command again."
            if file is not None
            else "The output is incomplete; run the command again."
        )
        with progress("messages", total, go_on=unfinished) as shown, _writing(file) as stream:
            for line in export_lines(bound, session_id=session_id):
                stream.write(f"{line}\n".encode())
                shown.add()
        if not shown.count:
            refuse_nothing(place, opened, whose, session_id=session_id)
    say(f"exported {shown.count} messages", err=True)


@memory_commands.command("import")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False), required=False)
@click.option("--owner", help="Store everything under this owner.")
@click.option("--skip-existing", is_flag=True, help="Skip messages that already exist.")
@memory_options
def import_command(file: Path | None, owner: str | None, skip_existing: bool, where: Where) -> None:
    """Import conversations from an export in FILE, or on standard input."""
    from flowrunner.memory.transfer import import_lines

    with (
        open_memory(where) as (opened, _),
        _reading(file) as lines,
        progress(
            "messages", go_on="What was stored is kept; run the command again with --skip-existing to continue."
        ) as shown,
    ):
        done = import_lines(opened, lines, owner=owner, skip_existing=skip_existing, told=shown.add)
    say(f"stored {done.stored} messages" + (f", passed over {done.skipped}" if skip_existing else ""))


@memory_commands.command("copy")
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@click.option(
    "--from-set", "from_set", multiple=True, metavar="NAME=VALUE", help="Setting of the backend FROM; may be repeated."
)
@click.option(
    "--to-set", "to_set", multiple=True, metavar="NAME=VALUE", help="Setting of the backend TO; may be repeated."
)
@click.option("--skip-existing", is_flag=True, help="Skip messages that already exist.")
@data_options
def copy_command(
    source: str, target: str, from_set: tuple[str, ...], to_set: tuple[str, ...], skip_existing: bool, where: Where
) -> None:
    """Copy all conversations from the memory backend FROM to the backend TO, and verify them."""
    from flowrunner.memory.digests import digest_sessions, same_digests
    from flowrunner.memory.paging import each_session
    from flowrunner.memory.transfer import copy_messages

    one, other = {"MEMORY": source, **_pairs(from_set)}, {"MEMORY": target, **_pairs(to_set)}
    if one == other:
        raise BadRequest("FROM and TO are the same store; give TO its own settings with --to-set.")
    with (
        open_memory(where, one) as (first, _),
        open_memory(where, other) as (second, _),
    ):
        total = sum(one.count for one in each_session(first.for_owner(EVERY_OWNER)))
        with progress(
            "messages", total, go_on="What was stored is kept; run the command again with --skip-existing to continue."
        ) as shown:
            done = copy_messages(first, second, skip_existing=skip_existing, told=shown.add)
        unchecked = (
            f"All messages were copied, but not compared. flowrunner memory verify --memory {target} prints digests."
        )
        with progress("messages compared", 2 * total, go_on=unchecked) as shown:
            there = digest_sessions(first.for_owner(EVERY_OWNER), told=shown.add)
            known = {(digest.owner, digest.session_id) for digest in there}
            both = digest_sessions(second.for_owner(EVERY_OWNER), told=shown.add)
            copied = [d for d in both if (d.owner, d.session_id) in known]
    _refuse_differences(same_digests(there, copied))
    say(
        f"copied {done.stored} messages"
        + (f", passed over {done.skipped}" if skip_existing else "")
        + f"; {len(there)} sessions are the same in both"
    )


@memory_commands.command("mend")
@memory_options
def mend_command(where: Where) -> None:
    """Set damaged conversation files aside, and keep what is readable (file-json; stop the server first)."""
    with open_memory(where) as (opened, _):
        mend = getattr(opened.backend, "mend", None)
        if mend is None:
            raise BadRequest(
                f"The memory backend {opened.name} cannot be repaired by this command; restore it from a backup."
            )
        sentences = mend()
    for sentence in sentences:
        say(sentence)
    say(f"{len(sentences)} damaged files")


@memory_commands.command("verify")
@click.option("--session-id", help="Only this session.")
@click.option("--owner", help="Only messages of this owner.")
@click.option("--against", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Export to compare with.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@memory_options
def verify_command(
    session_id: str | None, owner: str | None, against: Path | None, as_json: bool, where: Where
) -> None:
    """Print a digest of each session, the same for every backend. Exit status 1 if an export differs."""
    from flowrunner.memory.digests import digest_lines, digest_sessions, same_digests

    with open_memory(where) as (opened, place):
        whose = owner or EVERY_OWNER
        with progress("messages", go_on="Nothing was compared; run the command again.") as shown:
            found = digest_sessions(opened.for_owner(whose), session_id=session_id, told=shown.add)
        if not found:
            refuse_nothing(place, opened, whose, session_id=session_id)
    if as_json:
        print_json([{name: getattr(one, name) for name in one.__slots__} for one in found])
    else:
        for one in found:
            say(f"{one.digest}  {one.count}  {json.dumps([one.owner, one.session_id], ensure_ascii=False)}")
    if against is not None:
        with _reading(against) as lines:
            wanted = digest_lines(lines)
        kept = [d for d in wanted if owner in (None, d.owner) and session_id in (None, d.session_id)]
        _refuse_differences(same_digests(found, kept))


def _refuse_differences(differences: Iterable[str]) -> None:
    sentences = list(differences)
    for sentence in sentences:
        say(sentence, err=True)
    if sentences:
        sys.exit(1)


def _pairs(texts: Iterable[str]) -> dict[str, str]:
    """Read settings given as ``NAME=VALUE``.

    :raises BadRequest: for one that is not so written.
    """
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            # What stands there may be a password, so it is not shown.
            raise BadRequest("Give a setting as NAME=VALUE, such as FILE_JSON_DIR=archive.")
        found[name.upper().removeprefix("FLOWRUNNER_")] = value
    return found


def _flow_names(place: Place) -> dict[str, str]:
    return {flow.id: flow.endpoint_name for flow in folder_flows(place).flows() if flow.endpoint_name}


@contextlib.contextmanager
def _writing(file: Path | None) -> Iterator[IO[bytes]]:
    """Open where an export goes; a file is there under its name only when it is complete."""
    if file is None:
        try:
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            end_without_reader()
        except OSError as error:
            end_without_room(error)
        return
    # Into what is not a file, such as a pipe or /dev/null, it is written as it comes.
    direct = file.exists() and not file.is_file()
    part = file if direct else file.with_name(f"{file.name}.part")
    try:
        with part.open("wb") as stream:
            yield stream
        if not direct:
            part.replace(file)
    except OSError as error:
        raise BadRequest(f"{file} cannot be written: {error.strerror or error}.") from error
    finally:
        if not direct:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)


@contextlib.contextmanager
def _reading(file: Path | None) -> Iterator[IO[bytes]]:
    if file is None:
        yield sys.stdin.buffer
        return
    with file.open("rb") as stream:
        yield stream
