"""Options that name an owner, and tables on the terminal."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from typing import Any, Final

import click

from flowrunner.cli.context import data_options
from flowrunner.cli.output import say
from flowrunner.errors import BadRequest
from flowrunner.memory import EVERY_OWNER, Owner
from flowrunner.text.printable import printable

_NARROWEST: Final = 8
_GAP: Final = 2


def owner_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say whose things are meant and where the data is."""
    command = click.option("--memory", help="Memory backend; default: FLOWRUNNER_MEMORY.")(command)
    command = click.option("--owner", help="Only of this owner, by id.")(command)
    command = click.option("--user", help="Only of this user of API keys.")(command)
    return data_options(command)


def read_owner(user: str | None, owner: str | None) -> Owner:
    """Return whose things are meant: everybody's unless somebody is named.

    :raises BadRequest: if two are named.
    """
    from flowrunner.store.keys import owner_of_user

    if user is not None and owner is not None:
        raise BadRequest("Give --user or --owner, not both.")
    if user is not None:
        return owner_of_user(user)
    return EVERY_OWNER if owner is None else owner


def need_owner(user: str | None, owner: str | None) -> str:
    """Return whose things are to be changed.

    :raises BadRequest: if nobody is named: the same session id of two owners is two sessions.
    """
    found = read_owner(user, owner)
    if not isinstance(found, str):
        raise BadRequest("Say whose it is: --user NAME, or --owner ID; local for a server without keys.")
    return found


def print_json(value: Any) -> None:
    """Print a value as JSON."""
    say(json.dumps(value, indent=2, ensure_ascii=False))


def print_table(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print rows under heads, as wide as the terminal at most; the last column gives way first."""
    shown = [[shown_text(value) for value in row] for row in rows]
    widths = [max([len(head), *(len(row[n]) for row in shown)]) for n, head in enumerate(heads)]
    over = sum(widths) + _GAP * (len(widths) - 1) - max(40, shutil.get_terminal_size((120, 24)).columns)
    for column in reversed(range(len(widths))):
        if over > 0:
            cut = min(over, max(0, widths[column] - max(_NARROWEST, len(heads[column]))))
            widths[column] -= cut
            over -= cut
    for row in ([head.upper() for head in heads], *shown):
        cells = (_cut(cell, width).ljust(width) for cell, width in zip(row, widths, strict=True))
        say((" " * _GAP).join(cells).rstrip())


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def shown_text(value: Any) -> str:
    """Return a value as a table shows it: in one line, white space as blanks, without control characters."""
    text = "" if value is None else str(value)
    return printable("".join(" " if c.isspace() else c for c in text))
