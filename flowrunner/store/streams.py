"""Events of streams in a shared database, so that any host can resume a stream."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from sqlalchemy import Engine, delete, insert, select, update

from flowrunner.store.engine import reading
from flowrunner.store.relaxed_commits import unhurried
from flowrunner.store.tables import stream_events, streams

#: Name of the internal event 0: the stream shows only the outputs of its flow.
_SIGHT: Final = "outputs_only"


class StreamEvent(NamedTuple):
    """One event of a stream: its number from 1, its name and its data as JSON text."""

    number: int
    event: str
    data: str


@dataclass(frozen=True, slots=True)
class StreamState:
    """Whether a stream is complete, and the heartbeat of its run.

    ``beat`` changes while the run is alive; ``silent`` is the number of seconds since the last change, if known.
    """

    ended: bool
    beat: int
    silent: float = 0.0


class StreamTable:
    """Reads and writes the events of streams; a crash of the database's machine may lose the last seconds."""

    #: Seconds between two polls of a growing stream.
    poll: Final = 0.1

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        #: The heartbeat of each stream at the last sweep, and since when it has this value.
        self._beats: dict[str, tuple[int, float]] = {}

    def begin(self, run_id: str, owner: str, flow_id: str, *, outputs_only: bool = False) -> None:
        """Begin a stream.

        :param outputs_only: the stream shows only the outputs of the flow, so everybody who may run the flow may read
            it.
        """
        with unhurried(self._engine) as connection:
            connection.execute(
                insert(streams).values(run_id=run_id, owner=owner, flow_id=flow_id, ended=False, beat=0, read=0)
            )
            if outputs_only:
                connection.execute(insert(stream_events).values(run_id=run_id, number=0, event=_SIGHT, data=""))

    def is_in_reach(self, run_id: str, owner: str, flow_id: str, *, sees_all: bool) -> bool:
        """Return whether a stream of the owner's flow exists and shows nothing that the caller may not see."""
        this = (streams.c.run_id == run_id, streams.c.owner == owner, streams.c.flow_id == flow_id)
        mark = (stream_events.c.run_id == run_id, stream_events.c.number == 0, stream_events.c.event == _SIGHT)
        with reading(self._engine) as connection:
            if connection.execute(select(streams.c.run_id).where(*this)).first() is None:
                return False
            return sees_all or connection.execute(select(stream_events.c.number).where(*mark)).first() is not None

    def add(self, run_id: str, events: Iterable[StreamEvent], *, ended: bool) -> int:
        """Add events and update the heartbeat of the run; return a value that changes while other processes read."""
        rows = [{"run_id": run_id, **event._asdict()} for event in events]
        with unhurried(self._engine) as connection:
            if rows:
                # Events whose commit succeeded although the answer was lost are sent again.
                connection.execute(_adding(connection.dialect.name), rows)
            changed = (
                update(streams)
                .where(streams.c.run_id == run_id)
                .values(beat=streams.c.beat + 1, ended=ended)
                .returning(streams.c.read)
            )
            return int(connection.execute(changed).scalar() or 0)

    def read(self, run_id: str, after: int, place: int = 0) -> tuple[list[StreamEvent], StreamState | None, int]:
        """Return the events after a number, the state of the stream (None if it is gone), and the next position."""
        wanted = select(stream_events).where(stream_events.c.run_id == run_id, stream_events.c.number > after)
        with reading(self._engine) as connection:
            # Read the state first: a stream that has ended by then has all its events.
            state: Any = connection.execute(select(streams).where(streams.c.run_id == run_id)).first()
            rows = connection.execute(wanted.order_by(stream_events.c.number)).all()
        found = None if state is None else StreamState(bool(state.ended), state.beat)
        return [StreamEvent(row.number, row.event, row.data) for row in rows], found, place

    def sign(self, run_id: str) -> None:
        """Show the process of the run that the stream is being read."""
        with unhurried(self._engine) as connection:
            connection.execute(update(streams).where(streams.c.run_id == run_id).values(read=streams.c.read + 1))

    def remove(self, *run_ids: str) -> None:
        """Remove streams and their events."""
        with unhurried(self._engine) as connection:
            for table in (stream_events, streams):
                connection.execute(delete(table).where(table.c.run_id.in_(run_ids)))

    def sweep(self, seconds: float) -> None:
        """Remove the streams of processes that ended long ago, by the clock of this host."""
        now = time.monotonic()
        with reading(self._engine) as connection:
            rows = connection.execute(select(streams.c.run_id, streams.c.beat)).all()
        self._beats = {
            row.run_id: seen if (seen := self._beats.get(row.run_id, (-1, now)))[0] == row.beat else (row.beat, now)
            for row in rows
        }
        gone = [run_id for run_id, (_, since) in self._beats.items() if now - since > seconds]
        if gone:
            self.remove(*gone)


def _adding(dialect: str) -> Any:
    made: Any
    # The other dialect would take 2 MB and is never used.
    if dialect == "sqlite":
        from sqlalchemy.dialects import sqlite as made
    else:
        from sqlalchemy.dialects import postgresql as made
    return made.insert(stream_events).on_conflict_do_nothing()
