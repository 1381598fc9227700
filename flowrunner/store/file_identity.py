"""Detect before each commit that a SQLite file was removed or replaced.

SQLite goes on with a file that has no name any more, and whatever it says it has stored is gone with
the process. Looking costs two system calls a transaction.
"""

from __future__ import annotations

import os
import sqlite3
from typing import Any, Final

from sqlalchemy import Engine, event

_Number = tuple[int, int]


class SqlitePlace:
    """The file of a database, by its name and by its number, which stays the same while it is the same file."""

    __slots__ = ("number", "path")

    def __init__(self, path: str) -> None:
        self.path = path
        self.number: _Number | None = None

    def check(self) -> None:
        """Refuse to go on where the name stands for another file than at first, or for none.

        :raises sqlite3.OperationalError: saying so.
        """
        found = _number(self.path)
        if self.number is None:
            self.number = found
        elif found != self.number:
            raise sqlite3.OperationalError(f"the file {self.path} was removed or replaced")


class _KeptConnection(sqlite3.Connection):
    """A connection that commits only into the file that its place stands for."""

    place: SqlitePlace
    _log: _Number | None = None

    def check(self) -> None:
        """Refuse to go on without the file, or without its log, which is there while anybody has the file open.

        :raises sqlite3.OperationalError: saying so.
        """
        self.place.check()
        log = _number(self.place.path + "-wal")
        if self._log is None:
            self._log = log
        elif log != self._log:
            raise sqlite3.OperationalError(f"the file {self.place.path}-wal was removed or replaced")

    def commit(self) -> None:
        """Commit, if what is committed can be found again."""
        if self.in_transaction:
            try:
                self.check()
            except sqlite3.OperationalError:
                self.rollback()
                raise
        super().commit()


def keep_to_file(engine: Engine) -> SqlitePlace | None:
    """Have all connections of an engine keep to the file that the first of them opens; None for a file that has no
    place.
    """
    path = engine.url.database
    if not path or path.startswith((":memory:", "file:")):
        return None
    place = SqlitePlace(path)

    def before(dialect: Any, record: Any, arguments: Any, options: dict[str, Any]) -> None:
        if place.number is not None:
            place.check()
        options.setdefault("factory", _KeptConnection)

    def after(connection: Any, record: Any) -> None:
        if isinstance(connection, _KeptConnection):
            connection.place = place
            place.check()

    event.listen(engine, "do_connect", before)
    event.listen(engine, "connect", after)
    return place


def check_place(connection: Any) -> None:
    """Refuse to read from a file that is no longer the one that was opened.

    :param connection: the driver's own.
    :raises sqlite3.OperationalError: saying so.
    """
    if isinstance(connection, _KeptConnection):
        connection.place.check()


_NONE: Final[_Number] = (0, 0)


def _number(path: str) -> _Number:
    try:
        found = os.stat(path)  # noqa: PTH116 - a third of the time of Path.stat, with every transaction
    except OSError:
        return _NONE
    return found.st_dev, found.st_ino
