"""Resumable streams of several hosts: their events are in the database, so that any host can go on with a stream."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from flowrunner.store.streams import StreamState, StreamTable
from flowrunner.web.spool import LiveStream
from flowrunner.web.stored_stream import DEAD_AFTER, SIGN_EVERY, DistantStream, Frame

_SWEEP_EVERY: Final = 600.0


class LiveSharedStream(LiveStream):
    """A stream whose run is in this process, and whose events go into the database."""

    def __init__(self, table: StreamTable, run_id: str, cancel: Callable[[str], None]) -> None:
        super().__init__(Path(run_id), "", cancel)
        self._table = table
        self._run_id = run_id
        self._written = 0
        self._told_end = False
        self._signed = 0.0
        self._reads = 0
        self._unwritten.clear()

    def alone_since(self) -> float | None:
        with self._news:
            return None if self._readers else self._left_at

    def write(self) -> None:
        """Write what is not in the database yet, and show that the run lives.

        :raises SQLAlchemyError: if that cannot be done now; it is tried again with the next call.
        """
        with self._news:
            frames = self._frames[max(0, self._written + 1 - self._first) :]
            ended = self.closed
        now = time.monotonic()
        if not frames and (self._told_end or not ended) and now - self._signed < SIGN_EVERY:
            return
        reads = self._table.add(self._run_id, [(f.number, f.event, f.data) for f in frames], ended=ended)
        self._signed, self._told_end = now, ended
        with self._news:
            if frames:
                self._written = frames[-1].number
            if reads != self._reads:
                self._reads, self._left_at = reads, time.time()
            self._unwritten.clear()
            self.drop_surplus(self._written)

    def read_older(self, after: int) -> list[Frame]:
        return [Frame(*event) for event in self._table.read(self._run_id, after)[0]]

    def remove(self) -> None:
        self._table.remove([self._run_id])


class SharedStream(DistantStream):
    """One whose events are in the database: read as it grows there."""

    poll = 0.1

    def __init__(self, table: StreamTable, run_id: str) -> None:
        super().__init__()
        self._table = table
        self._run_id = run_id
        self._state: StreamState | None = None
        self._beat = (-1, 0.0)

    def read(self, after: int, seconds: float) -> tuple[list[Frame], bool]:
        """As :meth:`DistantStream.read`; while the database fails, there is nothing new."""
        deadline = time.monotonic() + seconds
        try:
            return super().read(after, seconds)
        except SQLAlchemyError:
            # The client is kept waiting rather than cut off: its run may go on meanwhile.
            self._beat = (-1, 0.0)
            time.sleep(max(0.0, deadline - time.monotonic()))
            return [], False

    def show(self) -> None:
        """Count the reader in the row of the stream."""
        self._table.sign(self._run_id)

    def look(self, after: int) -> tuple[list[Frame], bool]:
        """Read the rows after a number."""
        events, self._state = self._table.read(self._run_id, after)
        return [Frame(*event) for event in events], self._state is not None and self._state.ended

    def is_dead(self) -> bool:
        """Say whether the run has shown no sign for too long, by this host's own clock."""
        if self._state is None:
            return True
        now = time.monotonic()
        if self._state.beat != self._beat[0] or not self._beat[1]:
            self._beat = (self._state.beat, now)
        return now - self._beat[1] > DEAD_AFTER


class SharedStreams:
    """Begins and finds the streams in a database; removes those whose process is gone."""

    def __init__(self, table: StreamTable, grace: float) -> None:
        self._table = table
        self._kept = max(3600.0, 2 * grace)
        self._seen: dict[str, tuple[int, float]] = {}
        self._swept = 0.0

    def begin(
        self, run_id: str, owner: str, flow_id: str, cancel: Callable[[str], None], *, outputs_only: bool
    ) -> LiveSharedStream:
        """Begin a stream.

        :raises StoreFailed: if the database fails.
        """
        self._table.begin(run_id, owner, flow_id, outputs_only=outputs_only)
        self._sweep()
        return LiveSharedStream(self._table, run_id, cancel)

    def find(self, run_id: str, owner: str, flow_id: str, *, sees_all: bool) -> SharedStream | None:
        """Return a stream of an owner's flow, whichever host its run is on; None as :meth:`Spool.find` does."""
        if not self._table.is_of(run_id, owner, flow_id):
            return None
        if not (sees_all or self._table.shows_outputs_only(run_id)):
            return None
        return SharedStream(self._table, run_id)

    def _sweep(self) -> None:
        now = time.monotonic()
        if now - self._swept < _SWEEP_EVERY:
            return
        self._swept = now
        try:
            beats = self._table.beats()
            self._seen = {
                run_id: seen if (seen := self._seen.get(run_id, (-1, now)))[0] == beat else (beat, now)
                for run_id, beat in beats.items()
            }
            self._table.remove(run_id for run_id, (_, since) in self._seen.items() if now - since > self._kept)
        except SQLAlchemyError:
            # It is done another time; whoever needs the database now is told by it.
            return
