"""Input and output of commands. Control characters are removed on a terminal, and kept in files and pipes."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Final, NoReturn

import click

from flowrunner.text.printable import harmless

#: The status of a program whose reader has left, as of one that SIGPIPE ends.
_LEFT: Final = 141
_STANDARD_ERROR: Final = 2


def say(text: object = "", *, err: bool = False, nl: bool = True) -> None:
    """Print a text, which may hold names and words of anybody.

    :param err: on standard error.
    :param nl: end the line.
    """
    if (sys.stderr if err else sys.stdout).isatty():
        text = harmless(str(text))
    try:
        click.echo(text, err=err, nl=nl)
    except BrokenPipeError:
        end_without_reader()
    except OSError as error:
        end_without_room(error)


def end_without_room(error: OSError) -> NoReturn:
    """End the program because its output cannot be written, as on a full disk; standard error says so."""
    _drop_output()
    with contextlib.suppress(OSError):
        click.echo(f"flowrunner: The output cannot be written: {error.strerror or error}.", err=True)
    sys.exit(1)


def end_without_reader() -> NoReturn:
    """End the program because whoever read its output has left, with the status that shells have for it."""
    _drop_output()
    sys.exit(_LEFT)


def _drop_output() -> None:
    # What is left in the buffer has nowhere to go, and would be complained of at the end.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def open_missing_streams() -> None:
    """Open input and output that whoever started the program has closed, as a daemon does.

    They are empty then, and nothing is kept of what is written. Else the next file that is opened, a
    database perhaps, would get the number of one of them, and with it what is written there.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) <= _STANDARD_ERROR:
        os.set_inheritable(number, True)
    os.close(number)
    for name, number, mode in (("stdin", 0, "r"), ("stdout", 1, "w"), ("stderr", 2, "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", errors="replace", closefd=False))
