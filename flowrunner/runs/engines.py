"""Engines: execute background runs outside the server's own threads."""

from __future__ import annotations

from abc import ABC, abstractmethod


class RunEngine(ABC):
    """A queue that others keep, such as Celery's.

    The run itself, with what it was asked, is recorded in the app's database before the engine hears of
    it; the engine gets its id alone. In a process of its own it calls ``carry_out`` of a runner with that
    id (``get_runner(app=app).carry_out(run_id)``), which begins the run if it has not begun, has not been
    stopped and has nobody of its session before it, and returns at once otherwise. So an engine may
    deliver an id twice, late, or in another order; of what it loses it is told again.
    """

    @abstractmethod
    def send(self, run_id: str) -> None:
        """Have a run begun soon.

        Whatever it raises means that the engine cannot be reached: the run stays accepted, and the engine is
        told again.
        """

    def close(self) -> None:  # noqa: B027 - most have nothing to close
        """Release what it holds; called once."""
