"""Resumable streams: events are stored for a while in a shared place, so that any worker can resume a stream."""

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

#: The message for a stream whose events are no longer stored.
NO_LONGER: Final = "The stream is no longer stored; the result of the run is in the conversation and the run log."

#: The store of streams: a database shared by hosts, or a folder.
StreamStore: TypeAlias = StreamTable | StreamFolder

#: Seconds between two writes of a stream; newer events are only in the memory of the run's process.
_WRITE_EVERY: Final = 0.1
_KEPT_IN_MEMORY: Final = 2000
#: Seconds between heartbeats of a run, and of a reader in another process.
_SIGN_EVERY: Final = 1.0
#: Seconds without a heartbeat after which the process of a run counts as dead.
_DEAD_AFTER: Final = 15.0
#: The last event of a stream whose process has died.
_LOST: Final = {"error": "The process that executed the run ended before the run did.", "code": "run_lost"}
#: The last event of a stream whose events are no longer stored.
_GONE: Final = {"error": NO_LONGER, "code": NotFound.code}
_SWEEP_EVERY: Final = 600.0


class Stream:
    """A readable stream, wherever its run is executed."""

    def enter(self) -> None:
        """Count a reader."""

    def read(self, after: int, seconds: float) -> tuple[list[StreamEvent], bool]:
        """Return the events after a number, waiting for one until a timeout; and whether the stream has ended."""
        raise NotImplementedError

    def leave(self) -> None:
        """Count a reader that left."""


class LiveStream(Stream):
    """A stream whose run is in this process. The run appends events, and readers wait for them."""

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
        """Add an event and return it as readers get it."""
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
        # Not all events are in memory any more, or in the store, if the reader was too slow after the end.
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
        """Return the time since when there has been no reader in any process; None while there is one."""
        with self._news:
            return None if self._readers else self._left_at

    def write(self) -> None:
        """Store new events, and update the heartbeat from time to time.

        :raises OSError, SQLAlchemyError: if that fails; the next call tries again.
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
    """A stream whose run is, or was, in another process."""

    def __init__(self, store: StreamStore, run_id: str) -> None:
        self._store = store
        self._run_id = run_id
        self._place = 0
        self._signed = 0.0
        self._beat: tuple[int, float] | None = None

    def read(self, after: int, seconds: float) -> tuple[list[StreamEvent], bool]:
        """Like :meth:`Stream.read`; if the process of the run has died, the last event is an ``error``.

        While the store fails, there are no new events: the client is kept waiting, since its run may continue
        meanwhile.
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
        """Show the process of the run from time to time that the stream is being read."""
        now = time.monotonic()
        if now - self._signed >= _SIGN_EVERY:
            self._signed = now
            self._store.sign(self._run_id)

    def _is_dead(self, state: StreamState) -> bool:
        """Return whether the run has had no heartbeat for too long.

        The system clock is used only after a heartbeat is overdue by the monotonic clock, since the system clock may
        be changed.
        """
        now = time.monotonic()
        if self._beat is None or state.beat != self._beat[0]:
            self._beat = (state.beat, now)
        watched = now - self._beat[1]
        return watched > _DEAD_AFTER or (state.silent > _DEAD_AFTER and watched > 2 * _SIGN_EVERY)


class Spool:
    """The streams of one app. A thread stores those of this process in batches, as long as there are any.

    :param store: returns the shared store; called on first use.
    :param grace: seconds that a run continues without a reader, and that its events are kept after its end.
    """

    def __init__(self, store: Callable[[], StreamStore], grace: float) -> None:
        self._store = store
        self._grace = grace
        self.start_in_child()
        after_fork(self.start_in_child)

    def start_in_child(self) -> None:
        """Reset the streams, as in a forked process: those of the parent are read like those of any other process."""
        self._lock = threading.Lock()
        self._live: dict[str, LiveStream] = {}
        self._writing = False
        self._swept: float | None = None

    def open(
        self, run_id: str, owner: str, flow_id: str, cancel: Callable[[str], None], *, outputs_only: bool = False
    ) -> LiveStream:
        """Begin a stream.

        :param run_id: a UUID in canonical spelling.
                :param cancel: cancels the run, with a reason.
        :param outputs_only: it shows only the outputs of the flow, so everybody who may run the flow may read it.
        :raises OSError, StoreFailed: if it cannot be stored.
        :raises TooBusy: if no thread can be started to store it.
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
        """Return a stream of an owner's flow; None if it is no longer stored, or the caller may not read it.

        :param run_id: a UUID in canonical spelling.
        :param sees_all: whether the caller may see the graph of the flow; otherwise only streams that show only its
            outputs are found.
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
        """Remove streams of dead processes from time to time."""
        now = time.monotonic()
        if self._swept is None or now - self._swept >= _SWEEP_EVERY:
            self._swept = now
            with contextlib.suppress(SQLAlchemyError):
                # If the database fails, this is done later; requests that need it report the failure.
                store.sweep(max(3600.0, 2 * self._grace))
