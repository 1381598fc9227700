"""The interface through which a run reports to the run log."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from flowrunner.engine.result import RunResult, RunStart


class RunRecord(Protocol):
    """The record of one run, as the engine sees it."""

    def committing(self, start: RunStart, result: RunResult | None) -> AbstractContextManager[None]:
        """Surround a commit of messages, so that what is recorded of the run is committed with them.

        :param result: what the run gave, where this is its last commit and it has succeeded.
        """
