"""Options that name an owner, and tables on the terminal."""

from __future__ import annotations

import json
import shutil
import sys
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Final

import click

from flowrunner.cli.context import as_one
from flowrunner.cli.output import say
from flowrunner.errors import BadRequest
from flowrunner.memory import EVERY_OWNER, Owner
from flowrunner.memory.message import parse_timestamp
from flowrunner.text.printable import printable

_NARROWEST: Final = 8
_GAP: Final = 2


@dataclass(frozen=True, slots=True)
class Whose:
    """Whose things a command means: ``--user`` or ``--owner``."""

    user: str | None = None
    owner: str | None = None

    def read(self) -> Owner:
        """Return whose things are meant: everybody's unless somebody is named.

        :raises BadRequest: if two are named.
        """
        from flowrunner.store.keys import owner_of_user

        if self.user is not None and self.owner is not None:
            raise BadRequest("Give --user or --owner, not both.")
        if self.user is not None:
            return owner_of_user(self.user)
        return EVERY_OWNER if self.owner is None else self.owner

    def need(self) -> str:
        """Return whose things are to be changed.

        :raises BadRequest: if nobody is named: the same session id of two owners is two sessions.
        """
        found = self.read()
        if not isinstance(found, str):
            raise BadRequest("Choose the owner with --user NAME or --owner ID (local for a server without keys).")
        return found


def owner_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--user`` and ``--owner``; the command gets them as :class:`Whose`, called ``whose``."""
    command = as_one(command, "whose", Whose, "user", "owner")
    command = click.option("--owner", help="Only this owner, by id.")(command)
    return click.option("--user", help="Only this API key user.")(command)


def print_json(value: Any) -> None:
    """Print a value as JSON."""
    say(json.dumps(value, indent=2, ensure_ascii=False))


def print_table(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print rows under heads: as wide as the terminal at most, the last column giving way first; whole in a pipe."""
    shown = [[shown_text(value) for value in row] for row in rows]
    widths = [max([_width(head), *(_width(row[n]) for row in shown)]) for n, head in enumerate(heads)]
    if sys.stdout.isatty():
        _narrow(widths, [max(_NARROWEST, _width(head)) for head in heads])
    for row in ([head.upper() for head in heads], *shown):
        cells = (_padded(cell, width) for cell, width in zip(row, widths, strict=True))
        say((" " * _GAP).join(cells).rstrip())


def _narrow(widths: list[int], least: list[int]) -> None:
    """Make columns as narrow as the terminal wants, from the last on; in a very narrow one, below their heads."""
    over = sum(widths) + _GAP * (len(widths) - 1) - shutil.get_terminal_size((80, 24)).columns
    for bounds in (least, [1] * len(widths)):
        for column in reversed(range(len(widths))):
            cut = min(max(0, over), max(0, widths[column] - bounds[column]))
            widths[column] -= cut
            over -= cut


def _padded(text: str, width: int) -> str:
    """Return a cell as wide as its column; what is too wide ends with an ellipsis."""
    if _width(text) > width:
        kept, room = "", width - 1
        for char in text:
            room -= _width(char)
            if room < 0:
                break
            kept += char
        text = f"{kept}…"
    return text + " " * max(0, width - _width(text))


def _width(text: str) -> int:
    """Return how many places of a terminal a text takes: two for wide characters, none for combining ones."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(char) in "WF" for char in text)
    return len(text) + wide - sum(unicodedata.category(char) in ("Mn", "Me", "Cf") for char in text)


def shown_time(value: Any) -> str:
    """Return a moment as every table shows it, ``2026-11-28 13:05:51 UTC``; empty where there is none."""
    if value is None or value == "":
        return ""
    try:
        moment = value if isinstance(value, datetime) else parse_timestamp(str(value))
    except ValueError:
        return str(value)
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")


def shown_text(value: Any) -> str:
    """Return a value as a table shows it: in one line, white space as blanks, without control characters."""
    text = "" if value is None else str(value)
    return printable("".join(" " if c.isspace() else c for c in text))
