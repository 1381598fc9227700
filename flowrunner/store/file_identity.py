"""Detect before each commit that a SQLite file was removed or replaced.

SQLite keeps writing to a file that was removed, and its data is lost when the process ends. The check costs three
system calls per transaction.
"""

from __future__ import annotations

import os
import sqlite3
from typing import Any, Final

from sqlalchemy import Engine, event

_Number = tuple[int, int]


class SqlitePlace:
    """The file of a database, identified by its path and its inode."""

    __slots__ = ("filled", "number", "path", "real")

    def __init__(self, path: str) -> None:
        self.path = path
        #: Without links: SQLite keeps its log there.
        self.real = path
        self.number: _Number | None = None
        self.filled = False

    def check(self) -> None:
        """Check that the path still refers to the same file, and that the file was not emptied.

        :raises sqlite3.OperationalError: if it does not.
        """
        try:
            there = os.stat(self.path)  # noqa: PTH116 - a third of the time of Path.stat, with every transaction
            found, size = (there.st_dev, there.st_ino), there.st_size
        except OSError:
            found, size = _NONE, 0
        if self.number is None:
            self.number, self.real = found, os.path.realpath(self.path)
        elif found != self.number:
            raise sqlite3.OperationalError(f"the file {self.path} was removed or replaced")
        if size:
            self.filled = True
        elif self.filled:
            raise sqlite3.OperationalError(f"what the file {self.path} held was removed or replaced: it is empty")


class _KeptConnection(sqlite3.Connection):
    """A connection that commits only while its path refers to the file that it opened."""

    place: SqlitePlace
    _beside: tuple[_Number, _Number] | None = None

    def check(self) -> None:
        """Check that the file, its write-ahead log and the index of the log still exist.

        Two processes with different indexes would overwrite each other's data. Call it inside a write transaction.

        :raises sqlite3.OperationalError: if one of them does not exist.
        """
        self.place.check()
        found = _number(self.place.real + "-wal"), _number(self.place.real + "-shm")
        if self._beside is None and _NONE not in found:
            self._beside = found
        elif found != self._beside:
            which = "-wal" if found[0] == _NONE or (self._beside and found[0] != self._beside[0]) else "-shm"
            raise sqlite3.OperationalError(f"the file {self.place.real}{which} was removed or replaced")

    def commit(self) -> None:
        """Commit, after checking that the files still exist."""
        if self.in_transaction:
            try:
                self.check()
            except sqlite3.OperationalError:
                self.rollback()
                raise
        super().commit()


def keep_to_file(engine: Engine) -> SqlitePlace | None:
    """Make all connections of an engine check that they use the file that the first one opened; None without a file."""
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
    """Check before a read that the file is still the one that was opened.

    :param connection: the connection of the driver.
    :raises sqlite3.OperationalError: if it is not.
    """
    if isinstance(connection, _KeptConnection):
        connection.place.check()


def check_beside(connection: Any) -> None:
    """Check before a write that the files which SQLite keeps beside the database exist.

    :param connection: the connection of the driver, in a write transaction.
    :raises sqlite3.OperationalError: if they do not.
    """
    if isinstance(connection, _KeptConnection):
        connection.check()


_NONE: Final[_Number] = (0, 0)


def _number(path: str) -> _Number:
    try:
        found = os.stat(path)  # noqa: PTH116 - as above
    except OSError:
        return _NONE
    return found.st_dev, found.st_ino
