"""The events that a run emits, and the streams, records and traces made from them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple

from flowrunner.memory.message import utc_now

EventKind = Literal[
    "run_started",
    "vertex_started",
    "message_added",
    "token",
    "vertex_finished",
    "run_finished",
    "run_failed",
    "run_cancelled",
]

#: The contents of ``data`` for each kind of event. The values are Python objects, not JSON.
EVENT_DATA: Final[Mapping[str, str]] = {
    "run_started": "start: RunStart",
    "vertex_started": "vertex_id: str",
    "message_added": "message: Message, stored: bool",
    "token": "text: str, message_id: str, vertex_id: str",
    "vertex_finished": "result: VertexResult",
    "run_finished": "result: RunResult",
    "run_failed": "error: FlowRunnerError, start: RunStart",
    "run_cancelled": "reason: str, start: RunStart",
}


class RunEvent(NamedTuple):
    """One event of a run: the run, its number in the run (from 1, without gaps), its kind, data and time.

    :data:`EVENT_DATA` lists what ``data`` holds for each kind. The last event of a run is ``run_finished``,
    ``run_failed`` or ``run_cancelled``.
    """

    run_id: str
    seq: int
    kind: EventKind
    data: Mapping[str, Any]
    at: datetime


Emit = Callable[[RunEvent], None]

#: The kinds of events that the record of a run needs.
RECORDED_EVENTS: Final = frozenset({"run_started", "vertex_finished", "run_finished", "run_failed", "run_cancelled"})


@dataclass(frozen=True, slots=True)
class Observer:
    """A callback for the events of all runs, and the kinds that it handles (None: all but tokens)."""

    emit: Emit
    kinds: frozenset[str] | None = None


class EventStream:
    """Numbers the events of one run and passes each to a callback."""

    __slots__ = ("_emit", "_lock", "_number", "_wanted", "run_id")

    def __init__(self, run_id: str, emit: Emit | None, wanted: frozenset[str] | None = None) -> None:
        """:param wanted: the kinds that the callback handles; None for all."""
        self.run_id = run_id
        self._emit = emit
        self._wanted = wanted
        self._lock = threading.Lock()
        self._number = 0

    def send(self, kind: EventKind, **data: Any) -> None:
        """Emit an event. Safe to call from several threads: the callback gets the events one at a time, in order."""
        if self._emit is None:
            return
        with self._lock:
            self._number += 1
            if self._wanted is not None and kind not in self._wanted:
                return
            self._emit(RunEvent(self.run_id, self._number, kind, data, utc_now()))
