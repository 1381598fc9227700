"""``?stream=sse``: a run as standard server-sent events that survive a cut."""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final

from flask import Response, request

from flowrunner.authority import sees_graphs
from flowrunner.engine.events import RunEvent
from flowrunner.engine.request import RunRequest
from flowrunner.errors import BadRequest, FlowRunnerError, NotFound
from flowrunner.flows.model import Flow
from flowrunner.identity import Identity
from flowrunner.runner import Runner
from flowrunner.runs.once import Claim
from flowrunner.store.streams import StreamEvent
from flowrunner.web.disconnect import Presence
from flowrunner.web.json_io import dump_line
from flowrunner.web.kept_stream import Recording, head_of
from flowrunner.web.langflow_events import line_of, vertex_line_of
from flowrunner.web.spool import NO_LONGER, LiveStream, Spool, Stream
from flowrunner.web.streams import StreamedRun, event_stream

logger = logging.getLogger("flowrunner")

_LOOK_SECONDS: Final = 0.5
#: A client that is cut off comes back after so many milliseconds.
RETRY: Final = "retry: 500\n\n"


def stream_sse(
    runner: Runner,
    spool: Spool,
    flow: Flow,
    asked: RunRequest,
    identity: Identity,
    *,
    vertices: bool = False,
    claim: Claim | None = None,
) -> Response:
    """Return a new run as server-sent events.

    :param vertices: also tell what each component does.
    :param claim: the right to run what the key of a request stands for; the events are kept for it.
    :raises FlowRunnerError: where the run fails before its first event.
    """
    run = _SpooledRun(runner, spool, flow, asked, identity, claim, vertices=vertices)
    stream = run.start(Presence(request.environ))
    return answer_frames(stream, run.run_id, 0, runner.settings.heartbeat)


def resume_sse(runner: Runner, spool: Spool, flow: Flow, identity: Identity, last_event_id: str) -> Response:
    """Return the rest of a stream, after the event that the client saw last.

    :raises BadRequest: if the id is none of ours.
    :raises NotFound: if the stream is no longer kept, or not the caller's.
    """
    run_id, after = read_event_id(last_event_id)
    stream = spool.find(run_id, identity.id, flow.id, sees_all=sees_graphs(identity))
    if stream is None:
        raise NotFound(NO_LONGER)
    return answer_frames(stream, run_id, after, runner.settings.heartbeat)


def read_event_id(text: str) -> tuple[str, int]:
    """Return the run and the number of an event that a client names.

    :raises BadRequest: if the id is none of ours.
    """
    run_id, _, number = text.strip().partition(":")
    with suppress(ValueError):
        if number.isascii() and number.isdigit():
            return str(uuid.UUID(run_id)), int(number[:9])
    raise BadRequest("Last-Event-ID is not the id of an event of this server.")


class _SpooledRun(StreamedRun):
    """A run whose events go into the spool.

    :param vertices: also tell what each component does.
    """

    def __init__(
        self,
        runner: Runner,
        spool: Spool,
        flow: Flow,
        asked: RunRequest,
        identity: Identity,
        claim: Claim | None,
        *,
        vertices: bool,
    ) -> None:
        super().__init__(runner, flow, asked, identity, claim, "stream")
        self._spool = spool
        self._vertices = vertices
        self._recording: Recording | None = None
        if claim is not None:
            self._recording = Recording(claim, head_of(event_stream((), self.run_id)), runner.settings.max_answer)
            self._recording.append(RETRY)
        self._begun = threading.Event()
        self._stream: LiveStream | None = None
        self._failure: FlowRunnerError | None = None

    def start(self, presence: Presence) -> LiveStream:
        """Start the run and return its stream, once there is something in it.

        Until then it waits for its turn, and the client has no id by which it could come back: if
        it leaves, nothing is run.
        """
        self.begin()
        while not self._begun.wait(_LOOK_SECONDS):
            self.cancel_if(presence.is_over)
        if self._stream is None:
            raise self._failure or FlowRunnerError("The run ended before its first event.")
        return self._stream

    def take(self, event: RunEvent) -> None:
        if self._stream is None:
            if event.kind != "run_started":
                # It could not be opened for the first event; the client gets the error instead.
                return
            _, flow, asked, identity = self._arguments
            self._stream = self._spool.open(
                self.run_id, identity.id, flow.id, self.cancelled.cancel, outputs_only=asked.outputs_only
            )
            self._begun.set()
        shown = line_of(event)
        if shown is None and self._vertices:
            shown = vertex_line_of(event)
        if shown is not None:
            self._append(self._stream, shown["event"], shown["data"])

    def end(self, failure: FlowRunnerError | None, *, told: bool) -> None:
        self._failure = failure
        if failure is not None and not told and self._stream is not None:
            self._append(self._stream, "error", {"error": failure.message, "code": "internal_error"})
        if self._recording is not None:
            self._recording.end(nothing_done=self.was_stopped)
        if self._stream is not None:
            self._stream.close()
        self._begun.set()

    def _append(self, stream: LiveStream, event: str, data: Any) -> None:
        frame = stream.append(event, dump_line(data))
        if self._recording is not None:
            self._recording.append(frame_text(frame, self.run_id))


def answer_frames(stream: Stream, run_id: str, after: int, heartbeat: float) -> Response:
    """Return the events of a stream after a number, as they come."""
    presence = Presence(request.environ)
    return event_stream(_frames(stream, run_id, after, heartbeat, presence), run_id)


def frame_text(frame: StreamEvent, run_id: str) -> str:
    """Return an event as it is sent."""
    return f"id: {run_id}:{frame.number}\nevent: {frame.event}\ndata: {frame.data}\n\n"


def _frames(stream: Stream, run_id: str, after: int, heartbeat: float, presence: Presence) -> Iterator[str]:
    stream.enter()
    try:
        yield RETRY
        quiet = 0.0
        while True:
            wait = min(_LOOK_SECONDS, heartbeat or _LOOK_SECONDS)
            frames, done = stream.read(after, wait)
            if frames:
                after, quiet = frames[-1].number, 0.0
                yield "".join(frame_text(frame, run_id) for frame in frames)
            if done:
                return
            if not frames:
                if presence.is_over():
                    return
                quiet += wait
                if heartbeat and quiet >= heartbeat:
                    quiet = 0.0
                    yield ": heartbeat\n\n"
    finally:
        stream.leave()
