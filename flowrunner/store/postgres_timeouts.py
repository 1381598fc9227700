"""PostgreSQL connections with a time limit on every answer."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Engine, event

if TYPE_CHECKING:
    from psycopg.abc import PQGen

#: The connection timeout in seconds, unless the URL sets one.
CONNECT_SECONDS: Final = 5
_unbounded: Final = ContextVar("flowrunner_unbounded", default=False)


@contextmanager
def unbounded() -> Iterator[None]:
    """Remove the time limit for statements in this block, such as those of an upgrade."""
    token = _unbounded.set(True)
    try:
        yield
    finally:
        _unbounded.reset(token)


def bound_waiting(engine: Engine, seconds: float) -> None:
    """Set a time limit for the answer to each statement on the connections of an engine.

    Without it, a stopped server or a broken network would block all threads forever, since the driver waits without
    limit.

    :param seconds: the limit; 0 for none.
    """
    if engine.dialect.driver != "psycopg":
        return

    def connect(dialect: Any, record: Any, arguments: Any, options: dict[str, Any]) -> Any:
        options.setdefault("connect_timeout", CONNECT_SECONDS)
        if not seconds:
            return None
        made = _patient_class().connect(*arguments, **options)
        made.patience = seconds
        return made

    event.listen(engine, "do_connect", connect)


_classes: Final[list[Any]] = []


def _patient_class() -> Any:
    """Return the class of connections, created on first use, since the driver is an extra."""
    if not _classes:
        import psycopg

        class NoAnswer(psycopg.OperationalError):
            """The server did not answer in time."""

        class PatientConnection(psycopg.Connection[Any]):
            """A connection that is closed if the server does not answer in time."""

            patience = 0.0

            def wait(self, gen: PQGen[Any], *arguments: Any, **options: Any) -> Any:
                return super().wait(self._bounded(gen), *arguments, **options)

            def _bounded(self, gen: PQGen[Any]) -> Generator[Any, Any, Any]:
                try:
                    wanted = next(gen)
                    deadline = time.monotonic() + self.patience
                    while True:
                        ready = yield wanted
                        if not ready and self.patience and time.monotonic() > deadline and not _unbounded.get():
                            # The statement may still be executed, but this connection cannot be used any more.
                            self.pgconn.finish()
                            raise no_answer(self.patience)
                        wanted = gen.send(ready)
                except StopIteration as end:
                    return end.value

        _classes.extend((PatientConnection, NoAnswer))
    return _classes[0]


def no_answer(seconds: float) -> Exception:
    """Return the error for a server that did not answer in time."""
    _patient_class()
    made: Exception = _classes[1](f"the server did not answer within {seconds:g} seconds")
    return made
