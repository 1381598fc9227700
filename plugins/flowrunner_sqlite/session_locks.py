"""Session locks across hosts, with PostgreSQL's advisory locks."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import Any, Final

from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from flowrunner import MemoryFailed, after_fork
from flowrunner_sqlite.failures import contract_errors, failed

logger = logging.getLogger("flowrunner")

_FIRST_PAUSE: Final = 0.005
_LONGEST_PAUSE: Final = 0.1


class SessionLocks:
    """The locks that this process holds, all on one connection.

    A connection for each lock would leave none for the work of the runs that hold them. The server
    lets one connection take a lock twice, so this remembers which ones it has.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._guard = threading.Lock()
        self._connection: Any = None
        self._inherited: list[Any] = []
        self._taken: dict[int, object] = {}
        after_fork(self.start_in_child)

    @contextmanager
    def held(self, owner: str, session_id: str, wait: float) -> Iterator[bool]:
        """Wait for a lock at most so many seconds, and keep it while the block runs.

        :returns: whether it was got.
        :raises MemoryFailed: if the server cannot be asked.
        """
        number = _number(owner, session_id)
        token = self._acquire(number, time.monotonic() + wait)
        try:
            yield token is not None
        finally:
            if token is not None:
                self._release(number, token)

    def close(self) -> None:
        """Give the connection back; it holds nothing any more."""
        with self._guard:
            self._drop()

    def start_in_child(self) -> None:
        """Begin afresh in a forked process: the connection, and the locks on it, are the parent's."""
        self._inherited.append(self._connection)
        self._guard = threading.Lock()
        self._connection = None
        self._taken = {}

    def _acquire(self, number: int, deadline: float) -> object | None:
        pause = _FIRST_PAUSE
        while (token := self._try(number)) is None:
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            time.sleep(min(pause, left))
            pause = min(2 * pause, _LONGEST_PAUSE)
        return token

    def _try(self, number: int) -> object | None:
        with self._guard:
            if number in self._taken or not self._ask_kept("SELECT pg_try_advisory_lock(:number)", number):
                return None
            token = self._taken[number] = object()
            return token

    def _release(self, number: int, token: object) -> None:
        try:
            with self._guard:
                # Not there: with a connection that broke went all its locks; and those of a parent are not a child's.
                if self._taken.get(number) is token:
                    del self._taken[number]
                    self._ask("SELECT pg_advisory_unlock(:number)", number)
        except Exception as error:
            # The run is over and its answer is right; with the connection the server drops the lock.
            logger.info("The lock of a session could not be released: %s", failed(error).message)

    def _ask_kept(self, statement: str, number: int) -> bool:
        """Ask on the connection that is there, and once on a new one if that was lost since it was last used."""
        kept = self._connection is not None
        try:
            return self._ask(statement, number)
        except MemoryFailed as error:
            cause = error.__cause__
            if not kept or not isinstance(cause, DBAPIError) or not cause.connection_invalidated:
                raise
        return self._ask(statement, number)

    def _ask(self, statement: str, number: int) -> bool:
        with contract_errors(self._engine):
            try:
                if self._connection is None:
                    self._connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
                return bool(self._connection.execute(text(statement), {"number": number}).scalar())
            except SQLAlchemyError:
                self._drop()
                raise

    def _drop(self) -> None:
        if self._connection is not None:
            # A connection that went back to the pool would take its locks along.
            self._connection.invalidate()
            self._connection.close()
            self._connection = None
            self._taken.clear()


def _number(owner: str, session_id: str) -> int:
    name = f"{len(owner)}:{owner}{session_id}".encode("utf-8", "surrogatepass")
    return int.from_bytes(sha256(name).digest()[:8], "big", signed=True)
