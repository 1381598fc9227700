"""Test whether a database and a folder can be read and written, without leaving a trace."""

from __future__ import annotations

import os
import sqlite3
from typing import Any, Final

from sqlalchemy import Engine, text

from flowrunner.store.engine import reading
from flowrunner.store.file_identity import check_beside
from flowrunner.store.outage import READ_ONLY, DatabaseFailed, store_errors
from flowrunner.store.tables import metadata

#: The size of a short conversation and its records.
_ROOM: Final = 64 * 1024
#: Queries each table without reading rows; a missing or unreadable table is an error.
_EACH_TABLE: Final = " UNION ALL ".join(f"SELECT 1 FROM {name} WHERE 1 = 0" for name in metadata.tables)  # noqa: S608


def look_at_database(engine: Engine) -> None:
    """Check that a database answers, has all tables of the app, and can be written.

    :raises StoreFailed: if it does not.
    """
    with reading(engine) as connection:
        if connection.dialect.name == "postgresql":
            asked = "SELECT pg_is_in_recovery() OR current_setting('default_transaction_read_only')::boolean"
            if connection.execute(text(asked)).scalar():
                raise DatabaseFailed(READ_ONLY, f"it is read-only ({engine.url.render_as_string()})")
        connection.exec_driver_sql(_EACH_TABLE)
    if engine.dialect.name == "sqlite" and engine.url.database:
        path = engine.url.database
        if not os.access(path, os.W_OK):
            raise DatabaseFailed(READ_ONLY, path, sqlite3.OperationalError("attempt to write a readonly database"))
        check_writable(os.path.dirname(path) or ".")  # noqa: PTH120
        _begin_writing(engine)


def _begin_writing(engine: Engine) -> None:
    """Begin and roll back a write transaction on SQLite. If another one holds the lock, writing works.

    SQLite may be unable to write although the file is writable, because of a file beside it or of its mode.
    """
    with store_errors(engine), engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        (patience,) = driver.execute("PRAGMA busy_timeout").fetchone()
        driver.execute("PRAGMA busy_timeout=0")
        try:
            driver.execute("BEGIN IMMEDIATE")
            try:
                check_beside(driver)
            finally:
                driver.execute("ROLLBACK")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise
        finally:
            driver.execute(f"PRAGMA busy_timeout={patience:d}")


def check_writable(folder: str) -> None:
    """Check that a folder is writable and has some free space.

    :raises OSError: if it is not.
    """
    name = os.path.join(folder, f".flowrunner-{os.urandom(8).hex()}")  # noqa: PTH118
    handle = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        # The file has no name from here on, so nothing is left behind.
        os.unlink(name)  # noqa: PTH108
        content = bytes(_ROOM)
        while content:
            content = content[os.write(handle, content) :]
        os.fsync(handle)
    finally:
        os.close(handle)
