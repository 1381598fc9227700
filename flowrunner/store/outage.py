"""Classify store failures: disk full, database unreachable or unresponsive, files replaced."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as NoConnectionFree

from flowrunner.errors import StoreFailed


@dataclass(frozen=True, slots=True)
class Outage:
    """A way in which a store fails.

    ``reason`` is for clients and names no address or path; ``remedy`` is for the operator. ``is_total`` means that
    the store cannot be used at all, not even for reading.
    """

    kind: str
    reason: str
    remedy: str
    is_total: bool = False


#: In bytes: SQLite extends its files by 32 KiB at a time.
_LEAST_ROOM: Final = 64 * 1024

#: SQLite also reports this if a file beside the database was removed.
_OF_THE_DISK: Final = (
    "Check the system log for disk errors. If somebody removed a file beside the database, restart the server."
)
FULL: Final = Outage("full", "the disk is full", "Free some space; nothing else is needed.")
READ_ONLY: Final = Outage(
    "read_only",
    "its data cannot be written",
    "Give the server's user the permission to write, or mount the file system for writing again.",
)
BROKEN: Final = Outage("broken", "the disk fails", _OF_THE_DISK)
MISSING: Final = Outage(
    "missing",
    "a file or folder of its data is missing",
    "Put it back, or restore a backup (flowrunner restore) and restart the server.",
)
MISPLACED: Final = Outage(
    "misplaced",
    "something else is where a file or folder of its data belongs",
    "Move it away, and restore what was there.",
)
REPLACED: Final = Outage(
    "replaced",
    "its data was removed or replaced while it ran, and it must be restarted",
    "Put the original file back, or restart the server to use what is there now.",
    is_total=True,
)
DAMAGED: Final = Outage(
    "damaged",
    "its database is damaged",
    "Stop the server, keep a copy of the file and of those beside it, and restore a backup (flowrunner restore); to"
    " save what is readable in a SQLite file, use: sqlite3 FILE .recover",
)
AWAY: Final = Outage(
    "away", "its database cannot be reached", "Check that the database runs and accepts connections.", is_total=True
)
SILENT: Final = Outage(
    "silent", "its database does not answer", "Check whether the database hangs or is overloaded.", is_total=True
)
BUSY: Final = Outage("busy", "its database is busy", "If this continues, find the program that locks the database.")

_ERRNO: Final = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), FULL),
    **dict.fromkeys((errno.EROFS, errno.EACCES, errno.EPERM), READ_ONLY),
    **dict.fromkeys((errno.EIO, errno.ENXIO, errno.ENODEV, errno.ETIMEDOUT), BROKEN),
    **dict.fromkeys((errno.ENOENT, errno.ESTALE), MISSING),
    **dict.fromkeys((errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ELOOP), MISPLACED),
}
_SQLITE: Final = (
    ("disk is full", FULL),
    ("readonly database", READ_ONLY),
    ("removed or replaced", REPLACED),
    ("unable to open", MISSING),
    ("disk i/o error", BROKEN),
    ("malformed", DAMAGED),
    ("not a database", DAMAGED),
    ("unsupported file format", DAMAGED),
    ("no such table", DAMAGED),
    ("no such column", DAMAGED),
    ("locked", BUSY),
)
#: By prefixes of PostgreSQL's error codes; the longest matching prefix counts.
_POSTGRESQL: Final = {
    "08": AWAY,
    "28": AWAY,
    "3D000": AWAY,
    "57": AWAY,
    "57014": SILENT,
    "53": BUSY,
    "53100": FULL,
    "55P03": BUSY,
    "40": BUSY,
    "25006": READ_ONLY,
    "42501": READ_ONLY,
    "42P01": DAMAGED,
    "42703": DAMAGED,
    "58": BROKEN,
    "XX": DAMAGED,
}


class DatabaseFailed(StoreFailed, OperationalError):  # type: ignore[misc, override]
    """A failure of the app's own database that was not caused by a request or a row.

    :param told: the message of the driver and the location of the data, for the operator only.
    """

    def __init__(self, outage: Outage, told: str, orig: BaseException | None = None) -> None:
        Exception.__init__(self, sentence(outage))
        self.message = sentence(outage)
        self._detail = None
        self.outage = outage
        self.told = told
        # Attributes of SQLAlchemy's own errors, for code that handles those.
        self.orig = orig if isinstance(orig, Exception) else None
        self.statement = self.params = None
        self.connection_invalidated = False

    def __str__(self) -> str:
        return self.message


def sentence(outage: Outage) -> str:
    """Return the message for clients."""
    hope = "" if outage is REPLACED or outage is DAMAGED else "; try again later"
    return f"The server cannot use its data now: {outage.reason}{hope}."


def outage_of(error: BaseException | None) -> Outage | None:
    """Return the outage that an error or its causes show; None for another kind of error."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        found = _outage(error)
        if found is not None:
            return found
        error = error.__cause__
    return None


def outage_reason(error: BaseException) -> str:
    """Return the reason of an outage for clients, without address and path; empty if the error is not an outage.

    :param error: an error of a database driver, of SQLAlchemy or of the system, or one caused by such an error.
    """
    outage = outage_of(error)
    return "" if outage is None else outage.reason


def told_by(error: BaseException) -> str:
    """Return the message of the driver or the system that caused an error, in one line."""
    if isinstance(error, DatabaseFailed):
        return error.told
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    if isinstance(cause, DatabaseFailed):
        return cause.told
    if isinstance(cause, DBAPIError) and cause.orig is not None:
        cause = cause.orig
    words = str(cause).strip().splitlines()
    return words[0] if words else type(cause).__name__


def as_store_failed(error: BaseException) -> StoreFailed | None:
    """Convert an error of a store or of its disk to :class:`StoreFailed`; None if it is another kind of error."""
    if isinstance(error, StoreFailed):
        return error
    outage = outage_of(error)
    if outage is None:
        return None
    return DatabaseFailed(outage, told_by(error), error)


@contextmanager
def store_errors(engine: Engine) -> Iterator[None]:
    """Raise failures of the database itself as :class:`DatabaseFailed`; errors of statements are unchanged."""
    try:
        yield
    except DatabaseFailed:
        raise
    except (SQLAlchemyError, sqlite3.Error) as error:
        outage = _outage(error)
        if outage is None:
            raise
        place = engine.url.database if engine.dialect.name == "sqlite" else engine.url.render_as_string()
        if engine.dialect.name == "sqlite" and place:
            outage = _looked_at(outage, Path(place))
        failure = DatabaseFailed(outage, f"{told_by(error)} ({place})", getattr(error, "orig", error))
        failure.connection_invalidated = getattr(error, "connection_invalidated", False)
        raise failure from error


def _looked_at(outage: Outage, file: Path) -> Outage:
    """Return the outage of a SQLite file, after checking its folder.

    SQLite reports a disk error if there is no space for a file beside the database, and that the database cannot be
    opened if it may not create such a file.
    """
    try:
        if outage is BROKEN and shutil.disk_usage(file.parent).free < _LEAST_ROOM:
            return FULL
        if outage is MISSING and file.exists() and not os.access(file.parent, os.W_OK | os.X_OK):
            return READ_ONLY
    except OSError:
        return outage
    return outage


def _outage(error: BaseException) -> Outage | None:
    if isinstance(error, DatabaseFailed):
        return error.outage
    if isinstance(error, NoConnectionFree):
        return BUSY
    if isinstance(error, DBAPIError):
        return None if error.orig is None else _outage_of_driver(error.orig)
    if isinstance(error, OSError):
        return _outage_of_system(error)
    return _outage_of_driver(error)


def _outage_of_system(error: OSError) -> Outage | None:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO, errno.ESTALE):
        return _ERRNO[error.errno]
    # Other errors may come from the network: only errors that name a file are attributed to the disk.
    return _ERRNO.get(error.errno or 0) if error.filename is not None else None


def _outage_of_driver(error: BaseException) -> Outage | None:
    if isinstance(error, sqlite3.Error):
        if isinstance(error, (sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.DataError)):
            return None
        said = str(error).lower()
        return next((outage for words, outage in _SQLITE if words in said), None)
    if not any(kind.__module__.partition(".")[0] == "psycopg" for kind in type(error).__mro__):
        return None
    state = getattr(error, "sqlstate", None)
    if state:
        return _POSTGRESQL.get(state) or _POSTGRESQL.get(state[:2])
    if type(error).__name__ == "NoAnswer":
        return SILENT
    # Errors without a code do not come from the server.
    return (
        AWAY if any(kind.__name__ in ("OperationalError", "InterfaceError") for kind in type(error).__mro__) else None
    )
