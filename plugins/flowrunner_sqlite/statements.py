"""SQL compiled once per engine, and executed by the driver directly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Engine, bindparam, insert, select

from flowrunner_sqlite.rows import COLUMNS
from flowrunner_sqlite.tables import messages, sessions


class DriverStatement:
    """A statement in the words and parameters of one database driver."""

    def __init__(self, engine: Engine, statement: Any, **options: Any) -> None:
        compiled = statement.compile(dialect=engine.dialect, **options)
        self.sql = str(compiled)
        self._order: Sequence[str] | None = compiled.positiontup if compiled.positional else None

    def bind(self, values: Mapping[str, Any]) -> Any:
        """Return parameters as the driver wants them."""
        return values if self._order is None else [values[name] for name in self._order]

    def bind_rows(self, rows: Sequence[Sequence[Any]]) -> Sequence[Any]:
        """Return rows in the order of :data:`COLUMNS` as the driver wants them."""
        return rows if self._order is not None else [dict(zip(COLUMNS, row, strict=True)) for row in rows]


def _insert_of(engine: Engine) -> Any:
    """Return the dialect's own insert; the other dialect, which takes long to import, stays where it is."""
    if engine.dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as postgresql_insert

        return postgresql_insert
    from sqlalchemy.dialects.sqlite import insert as sqlite_insert

    return sqlite_insert


def insert_messages(engine: Engine) -> DriverStatement:
    """Return the statement that stores rows of messages."""
    return DriverStatement(engine, insert(messages), column_keys=list(COLUMNS))


def count_session(engine: Engine) -> DriverStatement:
    """Return the statement that adds messages, stored just before, to the row of their session and flow.

    Its parameters: the key columns, ``added``, and id and timestamp of the first and the last message.
    """
    make = _insert_of(engine)
    place = {
        end: select(messages.c.seq).where(messages.c.id == bindparam(f"{end}_id")).scalar_subquery()
        for end in ("first", "last")
    }
    new = make(sessions).values(
        session_key=bindparam("session_key"),
        owner=bindparam("owner"),
        flow_key=bindparam("flow_key"),
        long_session_id=bindparam("long_session_id"),
        count=bindparam("added"),
        first_seq=place["first"],
        first_at=bindparam("first_at"),
        last_seq=place["last"],
        last_at=bindparam("last_at"),
    )
    return DriverStatement(
        engine,
        new.on_conflict_do_update(
            index_elements=["session_key", "owner", "flow_key"],
            set_={
                "count": sessions.c.count + new.excluded.count,
                "last_seq": new.excluded.last_seq,
                "last_at": new.excluded.last_at,
            },
        ),
    )
