"""Closing the runs of processes that are gone, and beginning those that they had not begun."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from flowrunner.errors import FlowRunnerError
from flowrunner.memory import Memory
from flowrunner.memory.unanswered import mark_unanswered
from flowrunner.runs.process import Silences
from flowrunner.runs.registry import RunRegistry
from flowrunner.store.ledger import LOST

logger = logging.getLogger("flowrunner")


class Sweeper:
    """Looks for runs whose process is gone.

    :param adopt: begins a run that had not begun, given its row.
    """

    def __init__(self, registry: RunRegistry, memory: Memory, adopt: Callable[[list[Any]], None]) -> None:
        self._registry = registry
        self._memory = memory
        self._adopt = adopt
        self._silences = Silences()

    def sweep(self) -> int:
        """Look once; return how many runs were closed or taken over.

        :raises SQLAlchemyError: if the database fails; then nothing is known of heartbeats any more.
        """
        try:
            gone = [row.id for row in self._registry.ledger.others(self._registry.process_id) if self._is_gone(row)]
        except Exception:
            self._silences.forget()
            raise
        return sum(self._take_over(process) for process in gone)

    def _is_gone(self, row: Any) -> bool:
        if row.id is None or row.place is None:
            return True
        mark = self._registry.mark
        if row.place == mark.place:
            return mark.is_gone(row.id)
        return self._silences.is_silent(row.id, row.beat)

    def _take_over(self, process: str | None) -> int:
        queued, lost = self._registry.ledger.take_over(process, self._registry.process_id)
        for row in lost:
            logger.warning("The run %s is lost: its process ended before the run did.", row.id)
            try:
                mark_unanswered(self._memory.for_owner(row.owner), row.id, LOST)
            except FlowRunnerError as error:
                logger.warning("The question of the lost run %s could not be marked: %s", row.id, error.message)
        if queued:
            logger.info("%d accepted runs that had not begun are taken over.", len(queued))
            self._adopt(queued)
        return len(queued) + len(lost)
