"""Engines: execute background runs outside the server's own threads."""

from __future__ import annotations

from abc import ABC, abstractmethod


class RunEngine(ABC):
    """An external queue for background runs, such as Celery's.

    The run and its request are recorded in the app's database before the engine gets the id of the run, and nothing
    else. In its own process, the engine calls ``carry_out`` of a runner with this id
    (``get_runner(app=app).carry_out(run_id)``). This executes the run, unless it has started or was stopped, or an
    earlier run of its session has not ended; then it returns immediately. So an engine may deliver an id twice, late
    or out of order. Runs that it loses are sent again.
    """

    @abstractmethod
    def send(self, run_id: str) -> None:
        """Queue a run.

        Any exception means that the engine cannot be reached: the run stays accepted and is sent again later.
        """

    def close(self) -> None:  # noqa: B027 - most have nothing to close
        """Release all resources; called once."""
