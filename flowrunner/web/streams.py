"""Streams: a run on a thread of its own, read through a bounded queue."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from flask import Response, request

from flowrunner.components.cancelling import CancelToken
from flowrunner.engine.events import RunEvent
from flowrunner.engine.request import RunRequest
from flowrunner.errors import FlowRunnerError
from flowrunner.flows.model import Flow
from flowrunner.identity import Identity
from flowrunner.memory.message import new_id
from flowrunner.runner import Runner
from flowrunner.runs.failures import was_told
from flowrunner.runs.once import Claim
from flowrunner.runs.service import STOPPING
from flowrunner.telemetry.correlation import on_behalf
from flowrunner.web.disconnect import Presence
from flowrunner.web.json_io import dump_line
from flowrunner.web.kept_stream import KeptStream, Recording, head_of
from flowrunner.web.langflow_events import line_of

logger = logging.getLogger("flowrunner")

#: Names the run in an answer.
RUN_HEADER: Final = "X-Run-Id"

_QUEUED: Final = 256
_BATCH: Final = 64
_STALLED_SECONDS: Final = 60.0
_LOOK_SECONDS: Final = 0.25
_LAST: Final = ("run_finished", "run_failed", "run_cancelled")


class StreamedRun:
    """A run on a thread of its own, whose events are streamed.

    :param claim: the right to run what the key of a request stands for; it looks at the run's events.
    :raises NotAllowed, RequestInvalid: for what may not be run.
    """

    def __init__(
        self, runner: Runner, flow: Flow, request: RunRequest, identity: Identity, claim: Claim | None, kind: str
    ) -> None:
        runner.admit(request, identity)
        self.cancelled = CancelToken()
        self.run_id = new_id() if claim is None else claim.run_id
        self._arguments = (runner, flow, request, identity)
        self._kind = kind
        self._claim = claim
        self._emit = self.take if claim is None else claim.watching(self.take, again=flow.idempotent)

    @property
    def was_stopped(self) -> bool:
        """Whether the server stopped the run, since it stops itself."""
        return self.cancelled.reason == STOPPING

    def cancel_if(self, gone: Callable[[], bool]) -> None:
        """Cancel the run if its client has left; one that carries a key comes back once the run has begun."""
        if gone() and not (self._claim is not None and self._claim.begun):
            self.cancelled.cancel("the client disconnected")

    def take(self, event: RunEvent) -> None:
        """Take an event, on the thread of the run."""
        raise NotImplementedError

    def end(self, failure: FlowRunnerError | None, *, told: bool) -> None:
        """Take what ended the run, None for its success.

        :param told: whether an event said so, if any was there before.
        """
        raise NotImplementedError

    def begin(self) -> None:
        """Start the thread."""
        threading.Thread(target=on_behalf(self._run), name="flowrunner-stream", daemon=True).start()

    def _run(self) -> None:
        runner, flow, request, identity = self._arguments
        failure, told = None, True
        try:
            runner.execute(
                flow, request, identity, emit=self._emit, cancelled=self.cancelled, run_id=self.run_id, kind=self._kind
            )
        except FlowRunnerError as error:
            failure = error
        except BaseException as error:
            if not was_told(error):
                logger.exception("unexpected error in a streamed run")
            failure, told = FlowRunnerError("Internal Server Error"), False
            failure.__cause__ = error
        self.end(failure, told=told)


class RunStream(StreamedRun):
    """A run whose events are queued for one reader; :meth:`batches` gives them until the last one.

    Leaving the iteration early, a client that is gone, or a reader that takes nothing for a
    minute, cancels the run.

    :param gone: says whether the reader's client has left; asked while nothing happens.
    :raises FlowRunnerError: from the constructor, where the run fails before its first event: such
        an answer still gets its proper status.
    """

    def __init__(
        self,
        runner: Runner,
        flow: Flow,
        request: RunRequest,
        identity: Identity,
        *,
        gone: Callable[[], bool] = bool,
        claim: Claim | None = None,
        kind: str = "stream",
    ) -> None:
        super().__init__(runner, flow, request, identity, claim, kind)
        self._gone = gone
        self._queue: queue.Queue[RunEvent | FlowRunnerError | None] = queue.Queue(_QUEUED)
        self.begin()
        first = self._first_event()
        if not isinstance(first, RunEvent):
            raise first if first is not None else FlowRunnerError("The run ended before its first event.")
        self._first = first

    def go_on_until(self, gone: Callable[[], bool]) -> None:
        """Ask something else from now on whether the reader has left."""
        self._gone = gone

    def __iter__(self) -> Iterator[RunEvent]:
        for batch in self.batches():
            yield from batch

    def batches(self) -> Iterator[list[RunEvent]]:
        """Yield the events as they come: each as soon as it is there, and with it what else is."""
        batch = [self._first]
        try:
            while True:
                yield batch
                if batch[-1].kind in _LAST:
                    return
                batch = self._next()
                if not batch:
                    return
        finally:
            self.cancelled.cancel("the client disconnected")

    def _first_event(self) -> RunEvent | FlowRunnerError | None:
        """Wait for the first event, or the failure before it; a client that leaves meanwhile ends the run."""
        while True:
            try:
                return self._queue.get(timeout=_LOOK_SECONDS)
            except queue.Empty:
                self.cancel_if(self._gone)

    def _next(self) -> list[RunEvent]:
        """Return what is there, after at least one event; nothing if the client left or the run is over."""
        while True:
            try:
                event = self._queue.get(timeout=_LOOK_SECONDS)
                break
            except queue.Empty:
                if self._gone():
                    return []
        batch: list[RunEvent] = []
        while isinstance(event, RunEvent):
            batch.append(event)
            if event.kind in _LAST or len(batch) == _BATCH:
                break
            try:
                event = self._queue.get_nowait()
            except queue.Empty:
                break
        return batch

    def end(self, failure: FlowRunnerError | None, *, told: bool) -> None:
        self.take(failure)

    def take(self, event: RunEvent | FlowRunnerError | None) -> None:
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
        self.cancelled.cancel("the client stopped reading the stream")


def stream_lines(
    runner: Runner, flow: Flow, asked: RunRequest, identity: Identity, claim: Claim | None = None
) -> Response:
    """Return a run as the reference server streams it: one JSON object a line, an empty line after it."""
    stream = RunStream(runner, flow, asked, identity, gone=Presence(request.environ).is_over, claim=claim)
    return answer_stream(runner, stream, _lines(stream), claim)


def answer_stream(runner: Runner, stream: RunStream, frames: Iterator[str], claim: Claim | None) -> Response:
    """Return the answer of a stream from its pieces; that of a request with a key goes on without its reader."""
    if claim is None:
        return event_stream(frames, stream.run_id)
    settings = runner.settings
    recording = Recording(claim, head_of(event_stream((), stream.run_id)), settings.max_answer)
    kept = KeptStream(frames, recording, stream, settings.resume_seconds).start()
    return event_stream(kept.listen(Presence(request.environ)), stream.run_id)


def event_stream(frames: Iterable[str], run_id: str) -> Response:
    """Return pieces as an answer that no proxy holds back."""
    response = Response(frames, content_type="text/event-stream; charset=utf-8")
    response.headers[RUN_HEADER] = run_id
    response.headers["Cache-Control"] = "no-cache"
    response.headers["X-Accel-Buffering"] = "no"
    return response


def _lines(stream: RunStream) -> Iterator[str]:
    for batch in stream.batches():
        shown = [line for line in map(line_of, batch) if line is not None]
        if shown:
            yield "".join(dump_line(line) + "\n\n" for line in shown)
