"""Streams of requests with an Idempotency-Key: they go on without their reader for a while, and are stored."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from flask import Response

from flowrunner.errors import FlowRunnerError
from flowrunner.runs.once import Claim
from flowrunner.web.disconnect import Presence
from flowrunner.web.json_io import dumps

if TYPE_CHECKING:
    from flowrunner.web.streams import RunStream

#: Headers of an answer that are part of it.
_KEPT_HEADERS: Final = ("content-type", "x-run-id", "x-accel-buffering", "cache-control")
_LOOK_SECONDS: Final = 0.5
_STALLED_SECONDS: Final = 60.0
_MOST_UNREAD: Final = 256


def head_of(response: Response) -> list[Any]:
    """Return status and headers of an answer as they are kept."""
    headers = [[name, value] for name, value in response.headers if name.lower() in _KEPT_HEADERS]
    return [response.status_code, headers]


class Recording:
    """The text of a stream that goes on without its reader for a while, and is kept at its end.

    :param head: status and headers of the answer.
    :param most: characters that are kept.
    """

    def __init__(self, claim: Claim, head: list[Any], most: int) -> None:
        self._claim = claim
        self._head = head
        self._most = most
        self._parts: list[str] = []
        self._size = 0

    def append(self, text: str) -> None:
        """Add what was sent; what is too long to be kept is let go at once."""
        self._size += len(text)
        if self._size <= self._most:
            self._parts.append(text)
        else:
            self._parts.clear()

    def end(self, *, nothing_done: bool, failure: FlowRunnerError | None = None) -> None:
        """Keep it.

        :param nothing_done: the server stopped the run, which may be asked for again.
        :param failure: what broke the stream off, where it is not told in the stream itself.
        """
        if nothing_done or not self._claim.begun:
            self._claim.free()
        else:
            self._claim.keep(self.whole("".join(self._parts), failure) if self._size <= self._most else None)

    def whole(self, text: str, failure: FlowRunnerError | None) -> str:
        """Return the stream as it is kept."""
        return dumps([*self._head, text])


class KeptStream:
    """A stream between its run and its reader: read to the end by a thread of its own, whether anybody listens or not.

    :param frames: gives its pieces; ended by the run's end.
    :param grace: seconds that the run goes on without a reader.
    """

    def __init__(self, frames: Iterator[str], recording: Recording, stream: RunStream, grace: float) -> None:
        self._frames = frames
        self._recording = recording
        self._stream = stream
        self._grace = grace
        self._news = threading.Condition()
        self._parts: list[str] = []
        self._done = False
        self._left_at: float | None = None
        self._failure: FlowRunnerError | None = None
        stream.go_on_until(self._is_left)

    def start(self) -> KeptStream:
        """Begin to read."""
        threading.Thread(target=self._read, name="flowrunner-kept-stream", daemon=True).start()
        return self

    def _is_left(self) -> bool:
        """Return whether nobody has listened for too long."""
        left = self._left_at
        return left is not None and time.monotonic() - left > self._grace

    def listen(self, presence: Presence) -> Iterator[str]:
        """Yield the pieces as they come, and raise what the frames raised; leaving early leaves the run alone."""
        try:
            while True:
                with self._news:
                    if not self._parts and not self._done:
                        self._news.wait(_LOOK_SECONDS)
                    parts, self._parts = self._parts, []
                    self._news.notify_all()
                    done = self._done
                if parts:
                    yield "".join(parts)
                elif done:
                    if self._failure is not None:
                        raise self._failure
                    return
                elif presence.is_over():
                    return
        finally:
            with self._news:
                self._left_at = time.monotonic()
                self._parts.clear()
                self._news.notify_all()

    def _is_read(self) -> bool:
        return len(self._parts) < _MOST_UNREAD or self._left_at is not None

    def _read(self) -> None:
        try:
            for text in self._frames:
                self._recording.append(text)
                with self._news:
                    if not self._news.wait_for(self._is_read, _STALLED_SECONDS):
                        self._left_at = time.monotonic()
                        self._parts.clear()
                    if self._left_at is None:
                        self._parts.append(text)
                        self._news.notify_all()
        except FlowRunnerError as error:
            self._failure = error
        finally:
            self._recording.end(nothing_done=self._stream.was_stopped, failure=self._failure)
            with self._news:
                self._done = True
                self._news.notify_all()
