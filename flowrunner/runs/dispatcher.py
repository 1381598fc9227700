"""Send queued runs to an engine, and send again those it did not start."""

from __future__ import annotations

import logging
import time
from datetime import timedelta
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from flowrunner.errors import is_interrupt, reason_of
from flowrunner.memory.message import utc_now
from flowrunner.runs.engines import RunEngine
from flowrunner.store.credentials import mask_text
from flowrunner.store.ledger import Ledger
from flowrunner.text.timestamps import moment_text

logger = logging.getLogger("flowrunner")

#: Seconds after which a run that has not started is sent again, and for which an unreachable engine is not tried: a
#: request that starts a run does not wait for it.
_AGAIN: Final = 60.0
_PAUSE: Final = 4.0


class Dispatcher:
    """Sends accepted runs to an engine, or later if it cannot be reached.

    :param name: the name of the engine in the ledger.
    """

    def __init__(self, engine: RunEngine, name: str, ledger: Ledger) -> None:
        self._engine = engine
        self.name = name
        self._ledger = ledger
        self._failing = False
        self._quiet_until = 0.0

    def send(self, run_id: str) -> None:
        """Send a run to the engine, or later if it cannot be reached."""
        if not self._send(run_id):
            self._later([run_id])

    def _later(self, run_ids: list[str]) -> None:
        try:
            self._ledger.unsend(run_ids)
        except SQLAlchemyError as error:
            logger.warning("%d runs will be handed to the engine later: %s", len(run_ids), type(error).__name__)

    def _send(self, run_id: str) -> bool:
        if time.monotonic() < self._quiet_until:
            return False
        try:
            self._engine.send(run_id)
        except BaseException as error:
            if is_interrupt(error):
                raise
            self._quiet_until = time.monotonic() + _PAUSE
            if not self._failing:
                self._failing = True
                said = mask_text(reason_of(error))
                logger.warning("The engine %s cannot be reached; runs wait until it is back: %s", self.name, said)
            return False
        if self._failing:
            self._failing = False
            logger.info("The engine %s can be reached again.", self.name)
        return True

    def go_on(self, lane: str) -> None:
        """Send the next run of a session to the engine, after the one before it has ended."""
        try:
            following = self._ledger.next_of(lane, self.name)
        except SQLAlchemyError as error:
            logger.warning("The next run of a session starts later: %s", type(error).__name__)
            return
        if following is not None:
            self.send(following)

    def send_again(self) -> None:
        """Send runs that were sent long ago or not at all, and have not started.

        :raises SQLAlchemyError: if the database fails.
        """
        before = moment_text(utc_now() - timedelta(seconds=_AGAIN))
        found = self._ledger.to_send(self.name, before)
        for place, run_id in enumerate(found):
            if not self._send(run_id):
                self._later(found[place:])
                return
