"""``?stream=sse``: a run as standard server-sent events that survive a cut."""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Iterator
from typing import Final

from flask import Response, request

from flowrunner.authority import Capability, may
from flowrunner.components import CancelToken
from flowrunner.engine.events import RunEvent
from flowrunner.engine.request import RunRequest
from flowrunner.errors import BadRequest, FlowRunnerError, NotFound
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
from flowrunner.web.kept_stream import Recording, head_of
from flowrunner.web.langflow_events import line_of, vertex_line_of
from flowrunner.web.spool import AnyStream, LiveStream, Spool
from flowrunner.web.stored_stream import Frame
from flowrunner.web.streams import event_stream

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
    runner.admit(asked, identity)
    run_id = new_id() if claim is None else claim.run_id
    presence = Presence(request.environ)
    recording = None
    if claim is not None:
        recording = Recording(claim, head_of(event_stream(iter(()), run_id)), runner.settings.max_answer)
        recording.append(RETRY)
    stream = _SpooledRun(runner, spool, flow, asked, identity, run_id, vertices, claim, recording).start(presence)
    return answer_frames(stream, run_id, 0, runner.settings.heartbeat)


def resume_sse(runner: Runner, spool: Spool, flow: Flow, identity: Identity, last_event_id: str) -> Response:
    """Return the rest of a stream, after the event that the client saw last.

    :raises BadRequest: if the id is none of ours.
    :raises NotFound: if the stream is no longer kept, or not the caller's.
    """
    run_id, _, number = last_event_id.strip().partition(":")
    try:
        run_id, after = str(uuid.UUID(run_id)), int(number)
    except ValueError:
        raise BadRequest("Last-Event-ID is not the id of an event of this server.") from None
    stream = spool.find(run_id, identity.id, flow.id, sees_all=may(identity, Capability.AUTHOR, change=False))
    if stream is None or after < 0:
        raise NotFound("The stream is no longer stored; the result of the run is in the conversation and the run log.")
    return answer_frames(stream, run_id, after, runner.settings.heartbeat)


class _SpooledRun:
    """A run on a thread of its own, whose events go into the spool."""

    def __init__(
        self,
        runner: Runner,
        spool: Spool,
        flow: Flow,
        asked: RunRequest,
        identity: Identity,
        run_id: str,
        vertices: bool,
        claim: Claim | None,
        recording: Recording | None,
    ) -> None:
        self._emit = self._take if claim is None else claim.watching(self._take, again=flow.idempotent)
        self._recording = recording
        self._arguments = (flow, asked, identity)
        self._vertices = vertices
        self._runner, self._spool, self._run_id = runner, spool, run_id
        self._cancelled = CancelToken()
        self._begun = threading.Event()
        self._stream: LiveStream | None = None
        self._failure: FlowRunnerError | None = None

    def start(self, presence: Presence) -> LiveStream:
        """Start the run and return its stream, once there is something in it.

        Until then it waits for its turn, and the client has no id by which it could come back: if
        it leaves, nothing is run.
        """
        threading.Thread(target=on_behalf(self._run), name="flowrunner-sse", daemon=True).start()
        while not self._begun.wait(_LOOK_SECONDS):
            if presence.is_over():
                self._cancelled.cancel("its client left")
        if self._stream is None:
            raise self._failure or FlowRunnerError("The run ended before it began.")
        return self._stream

    def _run(self) -> None:
        try:
            flow, asked, identity = self._arguments
            self._runner.execute(
                flow, asked, identity, emit=self._emit, cancelled=self._cancelled, run_id=self._run_id, kind="stream"
            )
        except FlowRunnerError as error:
            self._failure = error
        except BaseException as error:
            if not was_told(error):
                logger.exception("unexpected error in a streamed run")
            self._failure = FlowRunnerError("Internal Server Error")
            self._failure.__cause__ = error
            if self._stream is not None:
                self._append("error", dump_line({"error": self._failure.message, "code": "internal_error"}))
        finally:
            if self._recording is not None:
                self._recording.end(nothing_done=self._cancelled.reason == STOPPING)
            if self._stream is not None:
                self._stream.close()
            self._begun.set()

    def _take(self, event: RunEvent) -> None:
        if self._stream is None:
            flow, asked, identity = self._arguments
            self._stream = self._spool.open(
                self._run_id, identity.id, flow.id, self._cancelled.cancel, outputs_only=asked.outputs_only
            )
            self._begun.set()
        shown = line_of(event)
        if shown is None and self._vertices:
            shown = vertex_line_of(event)
        if shown is not None:
            self._append(shown["event"], dump_line(shown["data"]))

    def _append(self, event: str, data: str) -> None:
        assert self._stream is not None
        frame = self._stream.append(event, data)
        if self._recording is not None:
            self._recording.append(frame_text(frame, self._run_id))


def answer_frames(stream: AnyStream, run_id: str, after: int, heartbeat: float) -> Response:
    """Return the events of a stream after a number, as they come."""
    presence = Presence(request.environ)
    return event_stream(_frames(stream, run_id, after, heartbeat, presence), run_id)


def frame_text(frame: Frame, run_id: str) -> str:
    """Return an event as it is sent."""
    return f"id: {run_id}:{frame.number}\nevent: {frame.event}\ndata: {frame.data}\n\n"


def _frames(stream: AnyStream, run_id: str, after: int, heartbeat: float, presence: Presence) -> Iterator[str]:
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
