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

#: As much as a short conversation and its records may take.
_ROOM: Final = 64 * 1024
#: Asks each table and reads nothing: one that is gone, or that this user may not read, is an error.
_EACH_TABLE: Final = " UNION ALL ".join(f"SELECT 1 FROM {name} WHERE 1 = 0" for name in metadata.tables)  # noqa: S608


def look_at_database(engine: Engine) -> None:
    """Find out whether a database answers, has all tables of the app, and takes what is written.

    :raises StoreFailed: if not.
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
    """Begin a transaction that writes on SQLite, and give it up; whoever else writes at the moment shows that it works.

    A file beside the database, or its mode, may keep SQLite from writing where the system does not.
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
    """Find out whether a folder can be written now, with room for a little.

    :raises OSError: if not.
    """
    name = os.path.join(folder, f".flowrunner-{os.urandom(8).hex()}")  # noqa: PTH118
    handle = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        # Nameless from here on: nothing is left, however this ends.
        os.unlink(name)  # noqa: PTH108
        content = bytes(_ROOM)
        while content:
            content = content[os.write(handle, content) :]
        os.fsync(handle)
    finally:
        os.close(handle)
