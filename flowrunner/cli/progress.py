"""Progress of long commands on a terminal, and a summary after Ctrl-C."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from flowrunner.cli.output import say

#: Seconds after which something is worth a line, and between two states of it.
_PATIENCE: Final = 1.0
_EVERY: Final = 0.2
#: Where a terminal does not say how wide it is.
_USUAL_COLUMNS: Final = 80
#: The status of a program that Ctrl-C has ended.
INTERRUPTED: Final = 130


class Progress:
    """Counts what is done, in one line of standard error that is written over; nothing where that is not a terminal.

    :param what: what is counted.
    :param total: of how many, if that is known.
    """

    def __init__(self, what: str, total: int | None = None) -> None:
        self.what = what
        self.total = total
        self.count = 0
        self._start = time.monotonic()
        self._shown_at = self._start
        self._width = 0

    def add(self, count: int = 1) -> None:
        """Say that so many more are done."""
        self.count += count
        now = time.monotonic()
        if now - self._start > _PATIENCE and now - self._shown_at > _EVERY and sys.stderr.isatty():
            self._shown_at = now
            self._write(self.line(now))

    def line(self, now: float | None = None) -> str:
        """Return the state of things as a line."""
        taken = max(1e-9, (time.monotonic() if now is None else now) - self._start)
        of = f" of {self.total:,}" if self.total else ""
        share = f" ({100 * self.count // self.total} %)" if self.total else ""
        return f"{self.count:,}{of} {self.what}{share}, {self.count / taken:,.0f}/s"

    def clear(self) -> None:
        """Take the line away, for whatever is printed next."""
        if self._width:
            self._write("")
            self._width = 0

    def _write(self, line: str) -> None:
        # A line that the terminal would fold could not be written over.
        line = line[: _columns() - 1]
        sys.stderr.write(f"\r{line.ljust(self._width)}\r{line}")
        sys.stderr.flush()
        self._width = len(line)


def _columns() -> int:
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or _USUAL_COLUMNS
    except (OSError, ValueError):
        return _USUAL_COLUMNS


@contextmanager
def progress(what: str, total: int | None = None, *, go_on: str = "") -> Iterator[Progress]:
    """Show progress while a block runs; Ctrl-C says what was done until then, and how to go on.

    :param go_on: a sentence for whoever has interrupted it.
    """
    shown = Progress(what, total)
    try:
        yield shown
    except KeyboardInterrupt:
        shown.clear()
        of = f" of {shown.total:,}" if shown.total else ""
        say(f"Interrupted after {shown.count:,}{of} {shown.what}. {go_on}".rstrip(), err=True)
        sys.exit(INTERRUPTED)
    finally:
        shown.clear()
