"""Output of commands. Control characters are removed on a terminal, and kept in files and pipes."""

from __future__ import annotations

import sys

import click

from flowrunner.text.printable import harmless


def say(text: object = "", *, err: bool = False, nl: bool = True) -> None:
    """Print a text, which may hold names and words of anybody.

    :param err: on standard error.
    :param nl: end the line.
    """
    if (sys.stderr if err else sys.stdout).isatty():
        text = harmless(str(text))
    click.echo(text, err=err, nl=nl)
