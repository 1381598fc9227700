"""The interface through which a run reports to the run log."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from flowrunner.engine.result import RunResult, RunStart


class RunRecord(Protocol):
    """The record of one run, as the engine sees it."""

    def commit(self, store: Callable[[], object], start: RunStart, result: RunResult | None) -> None:
        """Commit messages together with the record of the run.

        :param store: commits the messages.
        :param result: the result of the run, if it has succeeded and this is its last commit.
        """
