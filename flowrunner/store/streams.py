"""Events of streams in a shared database, so that any host can resume a stream."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Engine, delete, insert, select, update

from flowrunner.store.engine import reading
from flowrunner.store.relaxed_commits import unhurried
from flowrunner.store.tables import stream_events, streams

#: Number, name and data of an event.
Event = tuple[int, str, str]
#: Name of the event 0, which no reader gets: it says that the stream shows the outputs of its flow alone.
_SIGHT: Final = "outputs_only"


@dataclass(frozen=True, slots=True)
class StreamState:
    """Whether all of a stream is there, and counters that grow while its run, or a reader of it, lives."""

    ended: bool
    beat: int
    read: int


class StreamTable:
    """Reads and writes the events of streams; a crash of the database's machine may lose the last seconds."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def begin(self, run_id: str, owner: str, flow_id: str, *, outputs_only: bool = False) -> None:
        """Begin a stream.

        :param outputs_only: it shows the outputs of the flow alone, so whoever may talk may read it.
        """
        with unhurried(self._engine) as connection:
            connection.execute(
                insert(streams).values(run_id=run_id, owner=owner, flow_id=flow_id, ended=False, beat=0, read=0)
            )
            if outputs_only:
                connection.execute(insert(stream_events).values(run_id=run_id, number=0, event=_SIGHT, data=""))

    def is_of(self, run_id: str, owner: str, flow_id: str) -> bool:
        """Say whether there is such a stream of an owner's flow."""
        return self.find(run_id) == (owner, flow_id)

    def shows_outputs_only(self, run_id: str) -> bool:
        """Say whether a stream shows the outputs of its flow alone."""
        mark = (stream_events.c.run_id == run_id, stream_events.c.number == 0, stream_events.c.event == _SIGHT)
        with reading(self._engine) as connection:
            return connection.execute(select(stream_events.c.number).where(*mark)).first() is not None

    def find(self, run_id: str) -> tuple[str, str] | None:
        """Return owner and flow of a stream; None if there is none any more."""
        with reading(self._engine) as connection:
            row = connection.execute(select(streams.c.owner, streams.c.flow_id).where(streams.c.run_id == run_id))
            found = row.first()
        return None if found is None else (found.owner, found.flow_id)

    def add(self, run_id: str, events: Iterable[Event], *, ended: bool) -> int:
        """Add events, and show that the run lives; return the counter of readers in other processes."""
        rows = [{"run_id": run_id, "number": n, "event": event, "data": data} for n, event, data in events]
        with unhurried(self._engine) as connection:
            if rows:
                # What was committed although its answer was lost is sent once more.
                connection.execute(_adding(connection.dialect.name), rows)
            changed = (
                update(streams)
                .where(streams.c.run_id == run_id)
                .values(beat=streams.c.beat + 1, ended=ended)
                .returning(streams.c.read)
            )
            return int(connection.execute(changed).scalar() or 0)

    def read(self, run_id: str, after: int) -> tuple[list[Event], StreamState | None]:
        """Return the events after a number, and what is known of the stream; None if it is gone."""
        wanted = select(stream_events).where(stream_events.c.run_id == run_id, stream_events.c.number > after)
        with reading(self._engine) as connection:
            # The state first: what was ended by then has all its events.
            state: Any = connection.execute(select(streams).where(streams.c.run_id == run_id)).first()
            rows = connection.execute(wanted.order_by(stream_events.c.number)).all()
        found = None if state is None else StreamState(bool(state.ended), state.beat, state.read)
        return [(row.number, row.event, row.data) for row in rows], found

    def sign(self, run_id: str) -> None:
        """Show the run's process that somebody reads."""
        with unhurried(self._engine) as connection:
            connection.execute(update(streams).where(streams.c.run_id == run_id).values(read=streams.c.read + 1))

    def remove(self, run_ids: Iterable[str]) -> None:
        """Remove streams and their events."""
        gone = list(run_ids)
        if gone:
            with unhurried(self._engine) as connection:
                for table in (stream_events, streams):
                    connection.execute(delete(table).where(table.c.run_id.in_(gone)))

    def beats(self) -> dict[str, int]:
        """Return the counters of all streams, by which those are found whose process is gone."""
        with reading(self._engine) as connection:
            return {row.run_id: row.beat for row in connection.execute(select(streams.c.run_id, streams.c.beat))}


def _adding(dialect: str) -> Any:
    made: Any
    # The other dialect takes 2 MB and is never used.
    if dialect == "sqlite":
        from sqlalchemy.dialects import sqlite as made
    else:
        from sqlalchemy.dialects import postgresql as made
    return made.insert(stream_events).on_conflict_do_nothing()
