"""Streams: runs on separate threads, and the events sent to readers."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Final

from flask import Response

from flowrunner.components.cancelling import CancelToken
from flowrunner.engine.events import RunEvent
from flowrunner.errors import FlowRunnerError
from flowrunner.memory.message import new_id, utc_now
from flowrunner.runs.failures import was_told
from flowrunner.runs.idempotency import Claim
from flowrunner.runs.service import STOPPING
from flowrunner.runs.threads import start_thread
from flowrunner.telemetry.correlation import on_behalf
from flowrunner.web.call import RUN_HEADER, Call
from flowrunner.web.disconnect import Presence
from flowrunner.web.stored_answer import as_text

logger = logging.getLogger("flowrunner")

_MOST_UNREAD: Final = 256
_STALLED_SECONDS: Final = 60.0
_LOOK_SECONDS: Final = 0.25
_LAST: Final = ("run_finished", "run_failed", "run_cancelled")


class StreamedRun:
    """A run on its own thread whose events are streamed; with an idempotency key, the stream is stored at its end.

    :param claim: the right to execute the request of a key; it observes the events of the run.
    :raises NotAllowed, RequestInvalid: if the request may not be executed.
    """

    def __init__(self, call: Call, claim: Claim | None) -> None:
        call.runner.admit(call.asked, call.identity)
        self.run_id = new_id() if claim is None else claim.run_id
        self.cancelled = CancelToken()
        #: The error that ended the run; None after success.
        self.failure: FlowRunnerError | None = None
        # The run may outlive its request, which it does not keep.
        self._call = replace(call, environ={})
        self._claim = claim
        self._presence = Presence(call.environ)
        self._begun = threading.Event()
        self._is_open = self._is_over = False
        self._kept: list[str] = []
        self._size, self._most = 0, call.runner.settings.max_answer

    def begin(self) -> None:
        """Start the run, and wait for its first event.

        :raises FlowRunnerError: if the run fails before that, or no thread can be started: the answer then still gets
            the status of the error.
        """
        self._call.runner.runs.wake()
        start_thread(on_behalf(self._run), "flowrunner-stream")
        self._begun.wait()
        if not self._is_open:
            raise self.failure or FlowRunnerError("The run ended before its first event.")

    def is_left(self) -> bool:
        """Return whether the client has disconnected for good; with a key, it may come back once the run has begun."""
        return self._presence.is_over() and not (self._claim is not None and self._claim.begun)

    def open(self) -> None:
        """Prepare for events, after the first one has arrived."""

    def tell(self, event: RunEvent) -> None:
        """Handle an event, on the thread of the run."""
        raise NotImplementedError

    def close(self) -> None:
        """Handle the end of a run that had an event."""
        raise NotImplementedError

    def keep(self, text: str) -> None:
        """Append sent text to the stored stream; if it becomes too long, nothing is stored."""
        self._size += len(text)
        if self._claim is not None and self._size <= self._most:
            self._kept.append(text)
        else:
            self._kept.clear()

    def whole(self, text: str) -> str:
        """Return the whole stream in the form in which it is stored."""
        return as_text(event_stream([text], self.run_id))

    def _run(self) -> None:
        call, claim = self._call, self._claim
        try:
            call.runner.execute(
                call.flow,
                call.asked,
                call.identity,
                emit=self._take if claim is None else claim.watching(self._take, again=call.flow.idempotent),
                cancelled=self.cancelled,
                run_id=self.run_id,
                kind=call.kind,
                gone=self.is_left,
            )
        except FlowRunnerError as error:
            self.failure = error
        except BaseException as error:
            if not was_told(error):
                logger.exception("unexpected error in a streamed run")
            self.failure = FlowRunnerError("Internal Server Error")
            self.failure.code, self.failure.__cause__ = "internal_error", error
        try:
            if self._is_open:
                self._tell_failure()
                self._store()
        finally:
            # Whatever happens to what is kept, nobody waits for more.
            if self._is_open:
                self.close()
            self._begun.set()

    def _take(self, event: RunEvent) -> None:
        if not self._is_open:
            if event.kind != "run_started":
                # It could not be opened for the first event; the client gets the error instead.
                return
            self.open()
            self._is_open = True
            self._begun.set()
        self.tell(event)
        self._is_over = event.kind in _LAST

    def _tell_failure(self) -> None:
        """Send the error that ended the run, if no event did: what it gave may be nothing that can be sent."""
        if self.failure is not None and not self._is_over:
            try:
                self.tell(RunEvent(self.run_id, 0, "run_failed", {"error": self.failure}, utc_now()))
            except Exception:
                logger.exception("the error of a streamed run could not be sent")

    def _store(self) -> None:
        """Store the stream for the key; a run stopped by the server may be requested again, unless it succeeded."""
        if self._claim is None:
            return
        if not self._claim.begun or (self.failure is not None and self.cancelled.reason == STOPPING):
            self._claim.free()
        else:
            self._claim.keep(self.whole("".join(self._kept)) if self._size <= self._most else None)


class RunStream(StreamedRun):
    """A run of which one reader is told, by :meth:`listen`.

    A reader that leaves, or takes nothing for a minute, cancels the run. With a key the run goes on for a while, since
    its client may come back.

    :param text_of: returns what is sent for an event, on the thread of the run.
    :raises FlowRunnerError: where the run fails before its first event.
    """

    def __init__(self, call: Call, text_of: Callable[[RunEvent], str], claim: Claim | None = None) -> None:
        super().__init__(call, claim)
        self._text_of = text_of
        self._news = threading.Condition()
        self._unread: list[str] = []
        self._ended = False
        self._left_at: float | None = None
        self._grace: float = call.runner.settings.resume_seconds
        self.begin()

    def listen(self, *, joined: bool = True) -> Iterator[str]:
        """Yield what is sent for each event as it comes.

        :param joined: what is there at the same time is sent together.
        """
        try:
            while True:
                with self._news:
                    if not self._unread and not self._ended:
                        self._news.wait(_LOOK_SECONDS)
                    pieces, self._unread = self._unread, []
                    ended = self._ended
                    self._news.notify_all()
                if pieces:
                    yield from ("".join(pieces),) if joined else pieces
                elif ended or self._presence.is_over():
                    return
        finally:
            self._leave("the client disconnected")

    def is_left(self) -> bool:
        if self._left_at is None:
            return super().is_left()
        return time.monotonic() - self._left_at > self._grace

    def tell(self, event: RunEvent) -> None:
        """Pass an event to the reader; wait for a slow reader, but not for a disconnected one."""
        text = self._text_of(event)
        if not text:
            return
        self.keep(text)
        patience = time.monotonic() + _STALLED_SECONDS
        with self._news:
            while len(self._unread) >= _MOST_UNREAD and not self.cancelled.is_set():
                if time.monotonic() > patience:
                    self._leave("the client stopped reading the stream")
                self._news.wait(_LOOK_SECONDS)
            if self._left_at is None:
                self._unread.append(text)
                self._news.notify_all()

    def close(self) -> None:
        with self._news:
            self._ended = True
            self._news.notify_all()

    def _leave(self, reason: str) -> None:
        with self._news:
            self._left_at = time.monotonic()
            self._unread.clear()
            self._news.notify_all()
        if self._claim is None:
            self.cancelled.cancel(reason)


def answer_stream(call: Call, text_of: Callable[[RunEvent], str], claim: Claim | None) -> Response:
    """Return the streaming answer of a run for one reader; see :class:`RunStream`."""
    stream = RunStream(call, text_of, claim)
    return event_stream(stream.listen(), stream.run_id)


def event_stream(frames: Iterable[str], run_id: str) -> Response:
    """Return a streaming answer that proxies do not buffer."""
    response = Response(frames, content_type="text/event-stream; charset=utf-8")
    response.headers[RUN_HEADER] = run_id
    response.headers["Cache-Control"] = "no-cache"
    response.headers["X-Accel-Buffering"] = "no"
    return response
