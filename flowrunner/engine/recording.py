"""The interface through which a run reports to the run log."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from flowrunner.engine.result import RunResult, RunStart


class RunRecord(Protocol):
    """The record of one run, as the engine sees it."""

    def commit(self, store: Callable[[], object], start: RunStart, result: RunResult | None) -> None:
        """Commit messages, and with them what is recorded of the run.

        :param store: commits the messages.
        :param result: what the run gave, where this is its last commit and it has succeeded.
        """
