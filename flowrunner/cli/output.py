"""Output of commands. Control characters are removed on a terminal, and kept in files and pipes."""

from __future__ import annotations

import os
import sys
from typing import Final, NoReturn

import click

from flowrunner.text.printable import harmless

#: The status of a program whose reader has left, as of one that SIGPIPE ends.
_LEFT: Final = 141


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


def end_without_reader() -> NoReturn:
    """End the program because whoever read its output has left, with the status that shells have for it."""
    # What is left in the buffer has nowhere to go, and would be complained of at the end.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(_LEFT)
