"""Test whether a database and a folder can be read and written, without leaving a trace."""

from __future__ import annotations

import os
import sqlite3
from typing import Final

from sqlalchemy import Engine, text

from flowrunner.store.engine import reading
from flowrunner.store.outage import READ_ONLY, DatabaseFailed

#: As much as a short conversation and its records may take.
_ROOM: Final = 64 * 1024


def look_at_database(engine: Engine) -> None:
    """Find out whether a database answers, and takes what is written.

    :raises StoreFailed: if not.
    """
    with reading(engine) as connection:
        if connection.dialect.name == "postgresql":
            asked = "SELECT pg_is_in_recovery() OR current_setting('default_transaction_read_only')::boolean"
            if connection.execute(text(asked)).scalar():
                raise DatabaseFailed(READ_ONLY, f"it takes no changes ({engine.url.render_as_string()})")
            return
        connection.execute(text("SELECT 1"))
    if engine.dialect.name == "sqlite" and engine.url.database:
        path = engine.url.database
        if not os.access(path, os.W_OK):
            raise DatabaseFailed(READ_ONLY, path, sqlite3.OperationalError("attempt to write a readonly database"))
        check_writable(os.path.dirname(path) or ".")  # noqa: PTH120


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
