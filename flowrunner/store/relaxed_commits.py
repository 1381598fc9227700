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
    """Open a write transaction that survives a crash of the process, but not always a crash of the machine.

    A crash of the machine may lose the last seconds, but the database stays consistent. Transactions that store
    messages never wait for the disk because of this one.

    :param background: nobody waits for this transaction, so all others take precedence.
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
            # If even the rollback fails, the connection is discarded.
            if sqlite and not driver.in_transaction:
                driver.execute("PRAGMA synchronous=FULL")
