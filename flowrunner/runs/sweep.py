"""Close runs and requests of processes that no longer exist, and start those still queued."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, Final

from flowrunner.errors import FlowRunnerError
from flowrunner.memory import Memory
from flowrunner.memory.unanswered import mark_unanswered
from flowrunner.runs.process import Silences
from flowrunner.runs.registry import RunRegistry
from flowrunner.store.answers import AnswerStore
from flowrunner.store.ledger import LOST

logger = logging.getLogger("flowrunner")

#: Seconds between removals of expired answers.
_PURGE: Final = 60.0


class Sweeper:
    """Looks for runs of dead processes.

    :param adopt: starts runs that had not started, given their rows.
    :param release: called with each lane in which a run was lost.
    :param engine: an engine executes runs; runs without a process belong to it.
    """

    def __init__(
        self,
        registry: RunRegistry,
        memory: Memory,
        answers: AnswerStore,
        adopt: Callable[[list[Any]], None],
        *,
        engine: bool = False,
        release: Callable[[str], object] = lambda lane: None,
    ) -> None:
        self._engine = engine
        self._release = release
        self._registry = registry
        self._memory = memory
        self._answers = answers
        self._next_purge = 0.0
        self._adopt = adopt
        self._silences = Silences()

    def sweep(self) -> int:
        """Check once; return the number of runs that were closed or taken over.

        :raises SQLAlchemyError: if the database fails; heartbeats are then observed anew.
        """
        try:
            gone = [
                row.id
                for row in self._registry.ledger.others(self._registry.process_id, engine=self._engine)
                if self._is_gone(row)
            ]
        except Exception:
            self._silences.forget()
            raise
        found = sum(self.take_over(process) for process in gone)
        if time.monotonic() >= self._next_purge:
            self._next_purge = time.monotonic() + _PURGE
            self._answers.purge()
        return found

    def is_known_gone(self, process: str) -> bool:
        """Return whether a process is known to have ended; a single check cannot tell for other hosts."""
        row = self._registry.ledger.process(process)
        mark = self._registry.mark
        return row is None or (row.place == mark.place and mark.is_gone(process))

    def _is_gone(self, row: Any) -> bool:
        if row.id is None or row.place is None:
            return True
        mark = self._registry.mark
        if row.place == mark.place:
            return mark.is_gone(row.id)
        return self._silences.is_silent(row.id, row.beat)

    def take_over(self, process: str | None) -> int:
        """Close the started runs of a dead process, and take over the others; return their number."""
        queued, lost = self._registry.ledger.take_over(process, self._registry.process_id, engine=self._engine)
        for row in lost:
            facts = {"run_id": row.id, "flow_id": row.flow_id, "code": "run_lost"}
            shown = (row.id, row.flow_id)
            logger.warning("run %s of %s is lost: its process ended before the run did", *shown, extra=facts)
            try:
                mark_unanswered(self._memory.for_owner(row.owner), row.id, LOST)
            except FlowRunnerError as error:
                logger.warning(
                    "The question of the lost run %s could not be marked as unanswered: %s", row.id, error.message
                )
        for lane in {row.lane for row in lost if row.lane is not None}:
            self._release(lane)
        if queued:
            logger.info("Taking over %d accepted runs that had not started.", len(queued))
            self._adopt(queued)
        settled = 0 if process is None else self._answers.settle(process)
        return len(queued) + len(lost) + settled
