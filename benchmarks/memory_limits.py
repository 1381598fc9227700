"""The same durable turns without this project: in plain ``sqlite3``, and in SQLAlchemy's ORM."""

from __future__ import annotations

import json
import sqlite3
import threading
from pathlib import Path
from typing import Any

from flowrunner_sqlite.rows import COLUMNS, RowFormat, flow_key
from flowrunner_sqlite.tables import metadata
from sqlalchemy import URL
from sqlalchemy.orm import Session, registry

from flowrunner import Message, make_properties, new_id
from flowrunner.store.engine import make_engine

FLOW = "5f0c1f38-6e3c-4a55-9d3e-0c7a3d7f3c11"
TEXT = "The quick brown fox jumps over the lazy dog and then asks what else there is to be done today. "


def message_of_a_turn(n: int, part: int, session_id: str | None = None) -> Message:
    """Return a message as a run stores it."""
    return Message(
        id=new_id(),
        owner="local",
        session_id=session_id or f"session-{n % 100}",
        flow_id=FLOW,
        run_id=f"run-{n}",
        sender="Machine" if part else "User",
        sender_name="AI" if part else "User",
        text=TEXT + ("zebra" if n % 200 == 7 else str(n)),
        properties=make_properties(source={"id": "ChatInput-1", "display_name": "Chat Input", "source": "ChatInput"}),
    )


class PlainTurns:
    """Turns in the least that does the same: the same tables, rows and guarantees, by hand."""

    INSERT = f"INSERT INTO flowrunner_messages ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"
    COUNT = """
        INSERT INTO flowrunner_sessions VALUES (?, ?, ?, NULL, 2, (SELECT seq FROM flowrunner_messages WHERE id = ?),
            ?, (SELECT seq FROM flowrunner_messages WHERE id = ?), ?)
        ON CONFLICT DO UPDATE SET count = count + 2, last_seq = excluded.last_seq, last_at = excluded.last_at
    """

    def __init__(self, path: Path) -> None:
        engine = make_engine(URL.create("sqlite", database=str(path)))
        metadata.create_all(engine)
        engine.dispose()
        self._path = path
        self._own = threading.local()
        self._to_row = RowFormat("sqlite").to_row
        self._connection = self._connect()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=30, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        return connection

    def append(self, n: int) -> None:
        """Store a turn on the one connection."""
        self._write(self._connection, n)

    def append_with_own_connection(self, n: int) -> None:
        """Store a turn on this thread's connection, in a commit of its own."""
        if not hasattr(self._own, "connection"):
            self._own.connection = self._connect()
        self._write(self._own.connection, n)

    def _write(self, connection: sqlite3.Connection, n: int) -> None:
        first, last = (self._row(message_of_a_turn(n, part)) for part in (0, 1))
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(self.INSERT, [first, last])
        connection.execute(self.COUNT, (first[2], first[1], flow_key(first[4]), first[0], first[10], last[0], last[10]))
        connection.execute("COMMIT")

    def _row(self, message: Message) -> tuple[Any, ...]:
        """Return the values of a message, written out by hand."""
        return (
            message.id,
            message.owner,
            message.session_id,
            None,
            message.flow_id,
            message.run_id,
            message.context_id,
            message.sender,
            message.sender_name,
            message.text,
            int(message.timestamp.timestamp() * 1e6),
            "[]",
            json.dumps(message.properties),
            "[]",
            message.category,
            message.error,
            message.edit,
            message.duration,
            None,
        )


class OrmTurns:
    """The same turns as objects of an ORM session."""

    def __init__(self, path: Path) -> None:
        self._engine = make_engine(URL.create("sqlite", database=str(path)))
        metadata.create_all(self._engine)
        mapping = registry()
        self._message: Any = type("MessageRow", (), {})
        self._session: Any = type("SessionRow", (), {})
        mapping.map_imperatively(self._message, metadata.tables["flowrunner_messages"])
        mapping.map_imperatively(self._session, metadata.tables["flowrunner_sessions"])
        self._to_row = RowFormat("sqlite").to_row

    def append(self, n: int) -> None:
        """Store a turn in a session of its own, as a request does."""
        with Session(self._engine) as session:
            rows = []
            for part in (0, 1):
                values = dict(zip(COLUMNS, self._to_row(message_of_a_turn(n, part)), strict=True))
                rows.append(self._message(**values))
            session.add_all(rows)
            session.flush()
            key = (rows[0].session_key, rows[0].owner, flow_key(rows[0].flow_id))
            counted = session.get(self._session, key)
            if counted is None:
                names = ("session_key", "owner", "flow_key")
                counted = self._session(
                    **dict(zip(names, key, strict=True)), count=0, first_seq=rows[0].seq, first_at=rows[0].timestamp
                )
                session.add(counted)
            counted.count += 2
            counted.last_seq, counted.last_at = rows[1].seq, rows[1].timestamp
            session.commit()
