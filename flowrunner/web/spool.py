"""Resumable streams: events are kept for a while where all workers find them, so that any can resume a stream."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable
from typing import Final, TypeAlias

from sqlalchemy.exc import SQLAlchemyError

from flowrunner.errors import NotFound
from flowrunner.memory.forks import after_fork
from flowrunner.runs.threads import start_thread
from flowrunner.store.stream_files import StreamFolder
from flowrunner.store.streams import StreamEvent, StreamState, StreamTable

#: What is said of a stream whose events are not there any more.
NO_LONGER: Final = "The stream is no longer stored; the result of the run is in the conversation and the run log."

#: What keeps streams: a database that hosts share, or a folder.
StreamStore: TypeAlias = StreamTable | StreamFolder

#: Seconds between two writes of a stream; what is newer is only in the memory of the run's process.
_WRITE_EVERY: Final = 0.1
_KEPT_IN_MEMORY: Final = 2000
#: Seconds between two signs of life of a run, and of a reader in another process.
_SIGN_EVERY: Final = 1.0
#: Seconds without a sign after which the process of a run counts as dead.
_DEAD_AFTER: Final = 15.0
#: The event that ends a stream whose process is gone.
_LOST: Final = {"error": "The process that executed the run ended before the run did.", "code": "run_lost"}
#: The event that ends a stream whose events are no longer there.
_GONE: Final = {"error": NO_LONGER, "code": NotFound.code}
_SWEEP_EVERY: Final = 600.0


class Stream:
    """What can be read, wherever its run is."""

    def enter(self) -> None:
        """Count a reader."""

    def read(self, after: int, seconds: float) -> tuple[list[StreamEvent], bool]:
        """Return the events after a number, waiting for one at most so long; and whether that is all."""
        raise NotImplementedError

    def leave(self) -> None:
        """Count a reader that left."""


class LiveStream(Stream):
    """A stream whose run is in this process. The run appends, readers wait for what is new."""

    def __init__(self, store: StreamStore, run_id: str, cancel: Callable[[str], None]) -> None:
        self.cancel = cancel
        self.closed = False
        self.ended_at = 0.0
        self._store = store
        self._run_id = run_id
        self._news = threading.Condition()
        self._frames: list[StreamEvent] = []
        self._first = 1
        self._count = 0
        self._written = 0
        self._told_end = False
        self._signed = 0.0
        self._readers = 0
        self._reads_elsewhere = 0
        self._left_at = time.monotonic()

    def append(self, event: str, data: str) -> StreamEvent:
        """Add an event and return it as it is shown."""
        with self._news:
            self._count += 1
            frame = StreamEvent(self._count, event, data)
            self._frames.append(frame)
            self._news.notify_all()
            return frame

    def close(self) -> None:
        """Mark the end of the stream."""
        with self._news:
            self.closed, self.ended_at = True, time.monotonic()
            self._news.notify_all()

    def read(self, after: int, seconds: float) -> tuple[list[StreamEvent], bool]:
        """As :meth:`Stream.read`."""
        with self._news:
            if self._count <= after and not self.closed:
                self._news.wait(seconds)
            if after + 1 >= self._first:
                found = self._frames[after + 1 - self._first :]
                return found, self.closed and after + len(found) >= self._count
        # They are no longer all in memory, nor stored where a reader was slower than they are kept after the end.
        frames, state, _ = self._store.read(self._run_id, after)
        if state is None:
            return [StreamEvent(after + 1, "error", json.dumps(_GONE))], True
        return frames, False

    def enter(self) -> None:
        """Count a reader."""
        with self._news:
            self._readers += 1

    def leave(self) -> None:
        """Count a reader that left."""
        with self._news:
            self._readers -= 1
            self._left_at = time.monotonic()

    def alone_since(self) -> float | None:
        """Return since when nobody reads, here or in another process; None while somebody does."""
        with self._news:
            return None if self._readers else self._left_at

    def write(self) -> None:
        """Store what is not stored yet, and show from time to time that the run lives.

        :raises OSError, SQLAlchemyError: if that cannot be done now; it is tried again with the next call.
        """
        with self._news:
            frames = self._frames[max(0, self._written + 1 - self._first) :]
            ended = self.closed
        now = time.monotonic()
        if self._told_end or (not (frames or ended) and now - self._signed < _SIGN_EVERY):
            return
        reads = self._store.add(self._run_id, frames, ended=ended)
        self._signed, self._told_end = now, ended
        with self._news:
            if reads != self._reads_elsewhere:
                self._reads_elsewhere, self._left_at = reads, time.monotonic()
            self._written += len(frames)
            surplus = min(len(self._frames) - _KEPT_IN_MEMORY, self._written + 1 - self._first)
            if surplus > 0:
                del self._frames[:surplus]
                self._first += surplus


class DistantStream(Stream):
    """A stream whose run is, or was, in another process: read as it grows there."""

    def __init__(self, store: StreamStore, run_id: str) -> None:
        self._store = store
        self._run_id = run_id
        self._place = 0
        self._signed = 0.0
        self._beat: tuple[int, float] | None = None

    def read(self, after: int, seconds: float) -> tuple[list[StreamEvent], bool]:
        """As :meth:`Stream.read`; a run whose process is gone ends with an ``error`` event.

        While the store fails, there is nothing new: the client is kept waiting, since its run may go on meanwhile.
        """
        deadline = time.monotonic() + seconds
        while True:
            try:
                self.enter()
                frames, state, self._place = self._store.read(self._run_id, after, self._place)
            except (OSError, SQLAlchemyError):
                self._beat = None
                time.sleep(max(0.0, deadline - time.monotonic()))
                return [], False
            if frames or (state is not None and state.ended):
                return frames, state is not None and state.ended
            if state is None or self._is_dead(state):
                return [StreamEvent(after + 1, "error", json.dumps(_LOST))], True
            if time.monotonic() >= deadline:
                return [], False
            time.sleep(self._store.poll)

    def enter(self) -> None:
        """Show the run's process from time to time that somebody reads."""
        now = time.monotonic()
        if now - self._signed >= _SIGN_EVERY:
            self._signed = now
            self._store.sign(self._run_id)

    def _is_dead(self, state: StreamState) -> bool:
        """Return whether the run has shown no sign for too long.

        What the clock on the wall says is believed once a sign is overdue by this process's own: it may have been set.
        """
        now = time.monotonic()
        if self._beat is None or state.beat != self._beat[0]:
            self._beat = (state.beat, now)
        watched = now - self._beat[1]
        return watched > _DEAD_AFTER or (state.silent > _DEAD_AFTER and watched > 2 * _SIGN_EVERY)


class Spool:
    """The streams of one app. A thread stores those of this process in batches; it ends when there are none.

    :param store: returns what keeps them, which all workers share; asked when it is needed.
    :param grace: seconds that a run goes on without a reader, and that its events are kept after its end.
    """

    def __init__(self, store: Callable[[], StreamStore], grace: float) -> None:
        self._store = store
        self._grace = grace
        self.start_in_child()
        after_fork(self.start_in_child)

    def start_in_child(self) -> None:
        """Begin with no streams, as in a forked process: those of its parent are read as any other process's."""
        self._lock = threading.Lock()
        self._live: dict[str, LiveStream] = {}
        self._writing = False
        self._swept: float | None = None

    def open(
        self, run_id: str, owner: str, flow_id: str, cancel: Callable[[str], None], *, outputs_only: bool = False
    ) -> LiveStream:
        """Begin a stream.

        :param run_id: a UUID in canonical spelling.
        :param cancel: ends its run, with a reason.
        :param outputs_only: it shows the outputs of the flow alone, so whoever may talk may read it.
        :raises OSError, StoreFailed: if it cannot be stored.
        :raises TooBusy: if no thread can be started that stores it.
        """
        store = self._store()
        store.begin(run_id, owner, flow_id, outputs_only=outputs_only)
        self._sweep(store)
        stream = LiveStream(store, run_id, cancel)
        with self._lock:
            if not self._writing:
                start_thread(self._write, "flowrunner-spool")
                self._writing = True
            self._live[run_id] = stream
        return stream

    def find(self, run_id: str, owner: str, flow_id: str, *, sees_all: bool) -> LiveStream | DistantStream | None:
        """Return a stream of an owner's flow; None if there is none any more, or it is out of the caller's reach.

        :param run_id: a UUID in canonical spelling.
        :param sees_all: whether the caller may see what a flow is made of; if not, only streams are found that show
            its outputs alone.
        """
        store = self._store()
        if not store.is_in_reach(run_id, owner, flow_id, sees_all=sees_all):
            return None
        return self._live.get(run_id) or DistantStream(store, run_id)

    def _write(self) -> None:
        while True:
            time.sleep(_WRITE_EVERY)
            for run_id, stream in list(self._live.items()):
                self._care(run_id, stream)
            with self._lock:
                if not self._live:
                    self._writing = False
                    return

    def _care(self, run_id: str, stream: LiveStream) -> None:
        with contextlib.suppress(OSError, SQLAlchemyError):
            stream.write()
        now = time.monotonic()
        if not stream.closed:
            alone = stream.alone_since()
            if alone is not None and now - alone > self._grace:
                stream.cancel("the client disconnected and did not come back")
        elif now - stream.ended_at > self._grace:
            with self._lock:
                del self._live[run_id]
            with contextlib.suppress(SQLAlchemyError):
                self._store().remove(run_id)

    def _sweep(self, store: StreamStore) -> None:
        """Remove now and then what processes left behind that are gone."""
        now = time.monotonic()
        if self._swept is None or now - self._swept >= _SWEEP_EVERY:
            self._swept = now
            with contextlib.suppress(SQLAlchemyError):
                # Where the database fails it is done another time; whoever needs it now is told by it.
                store.sweep(max(3600.0, 2 * self._grace))
