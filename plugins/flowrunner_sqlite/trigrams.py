"""The trigram indexes of SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from sqlalchemy import Connection, text


class Trigrams(Protocol):
    """An index of folded texts by ``seq``; it never misses a text that contains the words."""

    def make(self, connection: Connection) -> None:
        """Make the index if it is not there."""

    def add(self, connection: Connection, rows: Sequence[tuple[int, str]]) -> None:
        """Take in texts."""

    def remove(self, connection: Connection, rows: Sequence[tuple[int, str]]) -> None:
        """Leave out texts, given as they were taken in."""

    def look_up(
        self, connection: Connection, words: Sequence[str], low: int, high: int, *, forward: bool, size: int
    ) -> list[int]:
        """Return candidates between the two numbers, both excluded, oldest or newest first."""


class FtsTrigrams:
    """FTS5. It keeps no texts and no positions, only which piece stands in which message."""

    _NAME = "flowrunner_messages_fts"

    def make(self, connection: Connection) -> None:
        connection.exec_driver_sql(
            f"CREATE VIRTUAL TABLE IF NOT EXISTS {self._NAME} USING fts5"
            "(body, content='', columnsize=0, detail=none, tokenize='trigram case_sensitive 1')"
        )

    def add(self, connection: Connection, rows: Sequence[tuple[int, str]]) -> None:
        connection.exec_driver_sql(f"INSERT INTO {self._NAME}(rowid, body) VALUES (?, ?)", list(rows))  # noqa: S608

    def remove(self, connection: Connection, rows: Sequence[tuple[int, str]]) -> None:
        connection.exec_driver_sql(
            f"INSERT INTO {self._NAME}({self._NAME}, rowid, body) VALUES ('delete', ?, ?)",  # noqa: S608
            list(rows),
        )

    def look_up(
        self, connection: Connection, words: Sequence[str], low: int, high: int, *, forward: bool, size: int
    ) -> list[int]:
        pieces = {word[n : n + 3] for word in words for n in range(len(word) - 2)}
        wanted = " ".join('"' + piece.replace('"', '""') + '"' for piece in sorted(pieces))
        rows: Any = connection.exec_driver_sql(
            f"SELECT rowid FROM {self._NAME} WHERE {self._NAME} MATCH ? AND rowid > ? AND rowid < ?"  # noqa: S608
            f" ORDER BY rowid {'' if forward else 'DESC'} LIMIT ?",
            (wanted, low, high, size),
        )
        return [int(row[0]) for row in rows]


class PostgresTrigrams:
    """A table of folded texts with an index of pg_trgm, an extension that comes with the server."""

    _NAME = "flowrunner_search_texts"

    def make(self, connection: Connection) -> None:
        connection.execute(text("CREATE EXTENSION IF NOT EXISTS pg_trgm"))
        connection.execute(
            text(f"CREATE TABLE IF NOT EXISTS {self._NAME} (seq BIGINT PRIMARY KEY, body TEXT NOT NULL)")
        )
        connection.execute(
            text(f"CREATE INDEX IF NOT EXISTS ix_{self._NAME} ON {self._NAME} USING gin (body gin_trgm_ops)")
        )

    def add(self, connection: Connection, rows: Sequence[tuple[int, str]]) -> None:
        statement = text(f"INSERT INTO {self._NAME} (seq, body) VALUES (:seq, :body)")  # noqa: S608
        connection.execute(statement, [{"seq": seq, "body": body} for seq, body in rows])

    def remove(self, connection: Connection, rows: Sequence[tuple[int, str]]) -> None:
        statement = text(f"DELETE FROM {self._NAME} WHERE seq = :seq")  # noqa: S608
        connection.execute(statement, [{"seq": seq} for seq, _ in rows])

    def look_up(
        self, connection: Connection, words: Sequence[str], low: int, high: int, *, forward: bool, size: int
    ) -> list[int]:
        like = " AND ".join(f"body LIKE :w{n}" for n in range(len(words)))
        patterns = {f"w{n}": f"%{_escape_pattern(word)}%" for n, word in enumerate(words)}
        statement = text(
            f"SELECT seq FROM {self._NAME} WHERE {like} AND seq > :low AND seq < :high"  # noqa: S608
            f" ORDER BY seq {'' if forward else 'DESC'} LIMIT :size"
        )
        rows = connection.execute(statement, {**patterns, "low": low, "high": high, "size": size})
        return [int(row[0]) for row in rows]


def _escape_pattern(word: str) -> str:
    return word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
