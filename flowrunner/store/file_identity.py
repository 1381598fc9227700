"""Detect before each commit that a SQLite file was removed or replaced.

SQLite continues with a file that has no name any more, and whatever it says it has stored is gone with
the process. Looking costs three system calls a transaction.
"""

from __future__ import annotations

import os
import sqlite3
from typing import Any, Final

from sqlalchemy import Engine, event

_Number = tuple[int, int]


class SqlitePlace:
    """The file of a database, by its name and by its number, which stays the same while it is the same file."""

    __slots__ = ("filled", "number", "path")

    def __init__(self, path: str) -> None:
        self.path = path
        self.number: _Number | None = None
        self.filled = False

    def check(self) -> None:
        """Refuse to go on where the name stands for another file than at first, for an emptied one, or for none.

        :raises sqlite3.OperationalError: saying so.
        """
        try:
            there = os.stat(self.path)  # noqa: PTH116 - a third of the time of Path.stat, with every transaction
            found, size = (there.st_dev, there.st_ino), there.st_size
        except OSError:
            found, size = _NONE, 0
        if self.number is None:
            self.number = found
        elif found != self.number:
            raise sqlite3.OperationalError(f"the file {self.path} was removed or replaced")
        if size:
            self.filled = True
        elif self.filled:
            raise sqlite3.OperationalError(f"what the file {self.path} held was removed or replaced: it is empty")


class _KeptConnection(sqlite3.Connection):
    """A connection that commits only into the file that its place stands for."""

    place: SqlitePlace
    _beside: tuple[_Number, _Number] | None = None

    def check(self) -> None:
        """Refuse to go on without the file, its log or the index of that, which are there while anybody has it open.

        Two processes with an index each overwrite what the other has stored. Called within a transaction that writes.

        :raises sqlite3.OperationalError: saying so.
        """
        self.place.check()
        found = _number(self.place.path + "-wal"), _number(self.place.path + "-shm")
        if self._beside is None and _NONE not in found:
            self._beside = found
        elif found != self._beside:
            which = "-wal" if found[0] == _NONE or (self._beside and found[0] != self._beside[0]) else "-shm"
            raise sqlite3.OperationalError(f"the file {self.place.path}{which} was removed or replaced")

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


def check_beside(connection: Any) -> None:
    """Refuse to write without the files that SQLite keeps beside the one that was opened.

    :param connection: the driver's own, in a transaction that writes.
    :raises sqlite3.OperationalError: saying so.
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
