"""Streams: a run on a thread of its own, read through a bounded queue."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Iterator
from typing import Any, Final

from flask import Response

from flowrunner.components import CancelToken
from flowrunner.engine.events import RunEvent
from flowrunner.engine.request import RunRequest
from flowrunner.engine.shapes import message_json
from flowrunner.errors import FlowRunnerError
from flowrunner.flows.model import Flow
from flowrunner.identity import Identity
from flowrunner.web.jsons import dumps

logger = logging.getLogger("flowrunner")

_QUEUED: Final = 256
_STALLED_SECONDS: Final = 60.0
_LOOK_SECONDS: Final = 0.25
_LAST: Final = ("run_finished", "run_failed", "run_cancelled")


class RunStream:
    """A run on a thread of its own; iterating gives its events until the last one.

    Leaving the iteration early, or a reader that takes nothing for a minute, cancels the run.

    :raises FlowRunnerError: from the constructor, where the run fails before its first event: such
        an answer still gets its proper status.
    """

    def __init__(self, runner: Any, flow: Flow, request: RunRequest, identity: Identity) -> None:
        self.cancelled = CancelToken()
        self._queue: queue.Queue[RunEvent | FlowRunnerError | None] = queue.Queue(_QUEUED)
        self._arguments = (runner, flow, request, identity)
        threading.Thread(target=self._run, name="flowrunner-stream", daemon=True).start()
        first = self._queue.get()
        if not isinstance(first, RunEvent):
            raise first if first is not None else FlowRunnerError("The run ended before it began.")
        self._first = first

    def __iter__(self) -> Iterator[RunEvent]:
        try:
            event: RunEvent | FlowRunnerError | None = self._first
            while isinstance(event, RunEvent):
                yield event
                if event.kind in _LAST:
                    return
                event = self._queue.get()
        finally:
            self.cancelled.cancel("its client left")

    def _run(self) -> None:
        runner, flow, request, identity = self._arguments
        ended: FlowRunnerError | None = None
        try:
            runner.execute(flow, request, identity, emit=self._put, cancelled=self.cancelled)
        except FlowRunnerError as error:
            ended = error
        except Exception as error:
            logger.exception("a streamed run failed in a way that nobody foresaw")
            ended = FlowRunnerError("Internal Server Error")
            ended.__cause__ = error
        self._put(ended)

    def _put(self, event: RunEvent | FlowRunnerError | None) -> None:
        """Hand an event to the reader; wait for a slow one, but not for one that has left."""
        waited = 0.0
        while waited < _STALLED_SECONDS:
            try:
                self._queue.put(event, timeout=_LOOK_SECONDS)
                return
            except queue.Full:
                waited += _LOOK_SECONDS
                if self.cancelled.is_set():
                    return
        self.cancelled.cancel("its client takes nothing")


def stream_lines(runner: Any, flow: Flow, request: RunRequest, identity: Identity, *, kind: str) -> Response:
    """Return a run as the reference server streams it: one JSON object a line, an empty line after it."""
    stream = RunStream(runner, flow, request, identity)
    response = Response(_lines(stream), content_type="text/event-stream; charset=utf-8")
    response.headers["Cache-Control"] = "no-cache"
    response.headers["X-Accel-Buffering"] = "no"
    return response


def _lines(stream: RunStream) -> Iterator[str]:
    for event in stream:
        shown = line_of(event)
        if shown is not None:
            yield dumps(shown) + "\n\n"


def line_of(event: RunEvent) -> dict[str, Any] | None:
    """Return an event as the reference server names it; None for those that it does not show."""
    data = event.data
    if event.kind == "message_added":
        message = data["message"]
        return {"event": "error" if message.error else "add_message", "data": message_json(message, with_id=True)}
    if event.kind == "token":
        return {"event": "token", "data": {"chunk": data["text"], "id": data["message_id"]}}
    if event.kind == "run_finished":
        return {"event": "end", "data": {"result": data["result"].to_json()}}
    if event.kind == "run_failed":
        return {"event": "error", "data": {"error": data["error"].message, "code": data["error"].code}}
    if event.kind == "run_cancelled":
        return {"event": "error", "data": {"error": f"The run was stopped: {data['reason']}.", "code": "run_cancelled"}}
    return None
