"""``?stream=sse``: a run as standard server-sent events, which can be resumed."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from flask import Response, request

from flowrunner.authority import sees_graphs
from flowrunner.engine.events import RunEvent
from flowrunner.errors import BadRequest, NotFound
from flowrunner.flows.model import Flow
from flowrunner.runs.idempotency import Claim
from flowrunner.store.streams import StreamEvent
from flowrunner.web.auth import caller, this_runner
from flowrunner.web.call import Call
from flowrunner.web.disconnect import Presence
from flowrunner.web.json_io import dump_line
from flowrunner.web.langflow_events import line_of, vertex_line_of
from flowrunner.web.spool import NO_LONGER, LiveStream, Spool, Stream
from flowrunner.web.streams import StreamedRun, event_stream

_LOOK_SECONDS: Final = 0.5
#: The time in milliseconds after which a disconnected client reconnects.
RETRY: Final = "retry: 500\n\n"


def stream_sse(call: Call, spool: Spool, claim: Claim | None, *, vertices: bool = False) -> Response:
    """Return a new run as server-sent events.

        :param claim: the right to execute the request of a key; the events are stored for it.
    :param vertices: include events of each component.
    :raises FlowRunnerError: if the run fails before its first event.
    """
    run = _SpooledRun(call, spool, claim, vertices=vertices)
    return answer_frames(run.stream, run.run_id, 0)


def resume_sse(spool: Spool, flow: Flow, last_event_id: str) -> Response:
    """Return the rest of a stream, after the last event that the client received.

    :raises BadRequest: if the event id is not valid.
    :raises NotFound: if the stream is no longer stored, or does not belong to the caller.
    """
    run_id, after = read_event_id(last_event_id)
    stream = spool.find(run_id, caller().id, flow.id, sees_all=sees_graphs(caller()))
    if stream is None:
        raise NotFound(NO_LONGER)
    return answer_frames(stream, run_id, after)


def read_event_id(text: str) -> tuple[str, int]:
    """Return the run and the number in an event id.

    :raises BadRequest: if the id is none of ours.
    """
    run_id, _, number = text.strip().partition(":")
    with suppress(ValueError):
        if number.isascii() and number.isdigit():
            return str(uuid.UUID(run_id)), int(number[:9])
    raise BadRequest("Last-Event-ID is not the id of an event of this server.")


class _SpooledRun(StreamedRun):
    """A run whose events are stored in the spool.

    While it waits for its turn, its client has no event id to resume with; if it disconnects, the run is not started.
    """

    def __init__(self, call: Call, spool: Spool, claim: Claim | None, *, vertices: bool) -> None:
        super().__init__(call, claim)
        self.stream: LiveStream
        self._spool = spool
        self._vertices = vertices
        self.keep(RETRY)
        self.begin()

    def open(self) -> None:
        asked, cancel = self._call.asked, self.cancelled.cancel
        self.stream = self._spool.open(
            self.run_id, self._call.identity.id, self._call.flow.id, cancel, outputs_only=asked.outputs_only
        )

    def is_left(self) -> bool:
        return not self._is_open and super().is_left()

    def tell(self, event: RunEvent) -> None:
        shown = line_of(event) or (vertex_line_of(event) if self._vertices else None)
        if shown is not None:
            self.keep(frame_text(self.stream.append(shown["event"], dump_line(shown["data"])), self.run_id))

    def close(self) -> None:
        self.stream.close()


def answer_frames(stream: Stream, run_id: str, after: int) -> Response:
    """Return the events of a stream after a number, as they come."""
    heartbeat, presence = this_runner().settings.heartbeat, Presence(request.environ)
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
