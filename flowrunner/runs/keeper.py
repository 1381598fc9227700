"""The keeper thread of a process: disconnected clients, heartbeats, cancel requests, lost processes."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from flowrunner.errors import FlowRunnerError
from flowrunner.runs.registry import RunRegistry
from flowrunner.runs.threads import start_thread

logger = logging.getLogger("flowrunner")

#: Seconds between checks of the runs of this process, between heartbeats, and between sweeps.
_LOOK: Final = 0.5
_BEAT: Final = 5.0
_SWEEP: Final = 5.0


class Keeper:
    """A thread that runs periodic checks as long as the process lives.

    :param sweep: looks for runs of dead processes.
    :param busy: returns whether this process has waiting background runs.
    :param write_again: retries writes that failed.
    """

    def __init__(
        self,
        registry: RunRegistry,
        sweep: Callable[[], object],
        busy: Callable[[], bool],
        write_again: Callable[[], object],
    ) -> None:
        self._write_again = write_again
        self._registry = registry
        self._sweep = sweep
        self._busy = busy
        self._start()

    def _start(self) -> None:
        self._guard = threading.Lock()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._failing = False
        self._next_beat = 0.0
        self._next_sweep = 0.0
        self.awake = False

    def start_in_child(self) -> None:
        """Reset the state in a forked process, which does not have the thread."""
        self._start()

    def wake(self) -> None:
        """Start the thread, unless it is running.

        :raises TooBusy: if no thread can be started.
        """
        with self._guard:
            if self.awake or self._closing.is_set():
                return
            self._thread = start_thread(self._work, "flowrunner-runs")
            self.awake = True

    def close(self) -> None:
        """Stop the thread."""
        with self._guard:
            self._closing.set()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout=10)

    def _work(self) -> None:
        while True:
            self._go_round()
            if self._closing.wait(_LOOK):
                return

    def _go_round(self) -> None:
        try:
            now = time.monotonic()
            self._registry.cancel_left()
            if now >= self._next_sweep:
                self._next_sweep = now + _SWEEP
                self._sweep()
            if self._registry.known_id is not None and (self._registry.active or self._busy()):
                if now >= self._next_beat:
                    self._next_beat = now + _BEAT
                    self._registry.ledger.beat(self._registry.process_id)
                self._stop_the_unwanted()
            self._registry.write_again()
            self._write_again()
            self._failing = False
        except (SQLAlchemyError, FlowRunnerError, OSError) as error:
            if not self._failing and not self._closing.is_set():
                self._failing = True
                logger.warning("Runs cannot be checked now (%s); trying again.", type(error).__name__)
        except Exception:
            logger.exception("unexpected error while checking runs")

    def _stop_the_unwanted(self) -> None:
        for run_id, reason in self._registry.ledger.asked_to_stop(self._registry.process_id).items():
            entry = self._registry.active.get(run_id)
            if entry is not None:
                entry.cancelled.cancel(reason)
