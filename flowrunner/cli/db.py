"""``flowrunner db``: show and upgrade the database schema."""

from __future__ import annotations

import sys

import click

from flowrunner.cli.context import Where, data_options, open_place
from flowrunner.cli.output import say
from flowrunner.cli.suggestions import SuggestingGroup


@click.group("db", cls=SuggestingGroup)
def db_commands() -> None:
    """Show and upgrade the database schema."""


@db_commands.command("current")
@data_options
def current_command(where: Where) -> None:
    """Show the revision of each part of the database."""
    with open_place(where) as place:
        for schema in place.schemas():
            found = schema.current(place.engine)
            note = "newest" if found == schema.head else f"newest is {schema.head}"
            say(f"{schema.name}: {found or 'no tables yet'} ({note})")


@db_commands.command("upgrade")
@data_options
def upgrade_command(where: Where) -> None:
    """Upgrade the database to the newest revision. Back it up first."""
    with open_place(where) as place:
        for schema in place.schemas():
            before = schema.upgrade(place.engine)
            done = "is at" if before == schema.head else f"upgraded from {before or 'nothing'} to"
            say(f"{schema.name}: {done} {schema.head}")


@db_commands.command("check")
@data_options
def check_command(where: Where) -> None:
    """Exit with status 1 if the database needs an upgrade, or is newer than this program.

    Missing tables are fine: a server creates them when it starts.
    """
    with open_place(where) as place:
        wrong = [s for s in place.schemas() if s.current(place.engine) not in (None, s.head)]
        for schema in wrong:
            say(schema.refusal(str(schema.current(place.engine))))
    if wrong:
        sys.exit(1)
    say("the database is up to date")
