"""``flowrunner import``: import data from other programs."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from flowrunner.cli.context import Where, memory_options, open_memory
from flowrunner.cli.output import say
from flowrunner.cli.owners import print_json, print_table, shown_text
from flowrunner.cli.progress import progress
from flowrunner.cli.suggestions import SuggestingGroup
from flowrunner.errors import BadRequest

if TYPE_CHECKING:
    from flowrunner.langflow.importing import Report
    from flowrunner.langflow.source import Source


@click.group("import", cls=SuggestingGroup)
def import_commands() -> None:
    """Import data from another program."""


@import_commands.command("langflow")
@click.argument("place", metavar="DATABASE|URL")
@click.option(
    "--secret-key-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Langflow's secret_key file, to decrypt credentials; default: LANGFLOW_SECRET_KEY.",
)
@click.option("--to", "user", help="Assign everything to this user, or to local, instead of to users of the same name.")
@click.option("--without-keys", is_flag=True, help="Create no API keys. Implied by --to local.")
@click.option("--dry-run", is_flag=True, help="Store nothing; show what would be stored.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@memory_options
def langflow_command(
    place: str,
    secret_key_file: Path | None,
    user: str | None,
    without_keys: bool,
    dry_run: bool,
    as_json: bool,
    where: Where,
) -> None:
    """Import flows, messages, variables and keys from a Langflow server.

    DATABASE is its SQLite file or postgresql:// URL, of any release 1.x; a http(s):// URL is that of
    a running server, read with the API key in LANGFLOW_API_KEY. Nothing there is changed. What is
    here already is passed over, so an import that broke off is repeated. Everything is read back and
    compared: exit status 1 if something differs.
    """
    from flowrunner.langflow.importing import Importer
    from flowrunner.store.bounds import bound_of
    from flowrunner.store.flows import FlowStore
    from flowrunner.store.keys import KeyStore
    from flowrunner.store.secretbox import open_secret_box
    from flowrunner.store.tables import SCHEMA
    from flowrunner.store.variables import VariableStore

    source = _open_source(place, secret_key_file)
    again = "What was stored is kept; run the command again to continue." if not dry_run else ""
    try:
        with (
            open_memory(where) as (opened, here),
            progress("things", go_on=again) as shown,
        ):
            SCHEMA.ensure(here.engine)
            folder = here.settings.data_dir
            box = open_secret_box(here.settings.secret_key, folder)
            keys = KeyStore(here.engine, folder, each=bound_of(here.settings, "MAX_KEYS"))

            def told(kind: str, count: int, total: int | None) -> None:
                if shown.what != kind:
                    shown.what, shown.total, shown.count = kind, total, 0
                shown.add(count)

            importer = Importer(
                source,
                memory=opened,
                flows=FlowStore(here.engine, folder, box=box, each=bound_of(here.settings, "MAX_FLOWS")),
                variables=VariableStore(here.engine, folder, box, each=bound_of(here.settings, "MAX_VARIABLES")),
                keys=keys,
                owner_of=_owners(source, user),
                dry_run=dry_run,
                progress=told,
            )
            importer.import_flows()
            importer.import_messages()
            importer.import_variables()
            if not without_keys and user is None:
                importer.renew_keys()
            report = importer.finish()
            keys.close()
    finally:
        source.close()
    if as_json:
        print_json({**report.to_json(), "keys_made": [{"user": u, "name": n, "key": k} for u, n, k in report.keys]})
    else:
        _print_report(report, dry_run)
    if report.faults:
        sys.exit(1)


def _open_source(place: str, secret_key_file: Path | None) -> Source:
    from flowrunner.langflow.database import LangflowDatabase
    from flowrunner.langflow.secret_values import SecretValues
    from flowrunner.langflow.server import LangflowServer

    if place.startswith(("http://", "https://")):
        return LangflowServer(place, os.environ.get("LANGFLOW_API_KEY"))
    secret_key = secret_key_file.read_text("utf-8") if secret_key_file else os.environ.get("LANGFLOW_SECRET_KEY")
    return LangflowDatabase(place, SecretValues(secret_key))


def _owners(source: Source, user: str | None) -> Callable[[str], str]:
    from flowrunner.cli.give import owner_named
    from flowrunner.store.keys import owner_of_user

    users = source.users()
    if not users:
        raise BadRequest("The source has no users, so there is nothing to import.")
    if user is not None:
        everybody = owner_named(user)
        return lambda name: everybody
    return lambda name: owner_of_user(name or users[0])


def _print_report(report: Report, dry_run: bool) -> None:
    heads = ("", "found", "would store" if dry_run else "stored", "here already", "refused")
    rows = [[kind, tally.found, tally.stored, tally.present, tally.refused] for kind, tally in report.tallies.items()]
    print_table(heads, rows)
    say(f"{report.sessions} sessions, {len(report.projects)} projects: {', '.join(report.projects) or 'none'}")
    for note in report.notes:
        say(shown_text(note))
    if not dry_run and not report.faults:
        say("Everything that was stored was read back and compared: it is identical, in the same order.")
    for user, name, key in report.keys:
        say(f"new key of {shown_text(user)}, {shown_text(name)}: {key}")
    for fault in report.faults:
        say(f"flowrunner: {shown_text(fault)}", err=True)
