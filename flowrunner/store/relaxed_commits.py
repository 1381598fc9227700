"""Transactions that do not wait for the disk."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, text

from flowrunner.store.outage import store_errors
from flowrunner.store.write_turn import taking_turns


@contextmanager
def unhurried(engine: Engine, *, background: bool = False) -> Iterator[Connection]:
    """Open a writing transaction that survives the end of the process, and not always that of the machine.

    A crash of the machine may lose the last seconds, never consistency; and who stores a message
    never waits for the disk because of it.

    :param background: nobody waits for it, so it gives way to all others.
    """
    with store_errors(engine), taking_turns(engine, background=background), engine.connect() as connection:
        sqlite = connection.dialect.name == "sqlite"
        driver: Any = connection.connection.driver_connection
        if sqlite:
            driver.execute("PRAGMA synchronous=NORMAL")
        try:
            with connection.begin():
                if not sqlite:
                    connection.execute(text("SET LOCAL synchronous_commit TO off"))
                yield connection
        finally:
            # A transaction that could not even be rolled back goes with its connection, which is not used again.
            if sqlite and not driver.in_transaction:
                driver.execute("PRAGMA synchronous=FULL")
