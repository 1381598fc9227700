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

#: Seconds within which a server takes a connection, unless the URL says otherwise.
CONNECT_SECONDS: Final = 5
_unbounded: Final = ContextVar("flowrunner_unbounded", default=False)


@contextmanager
def unbounded() -> Iterator[None]:
    """Let statements of this block take as long as they want: an upgrade of the tables may."""
    token = _unbounded.set(True)
    try:
        yield
    finally:
        _unbounded.reset(token)


def bound_waiting(engine: Engine, seconds: float) -> None:
    """Have an engine's connections give up a server that does not answer a statement within so many seconds.

    A server that is stopped in mid-work, or a network that swallows what is sent, would otherwise hold
    every thread for good: the driver itself waits without end.

    :param seconds: 0 for without a time limit.
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
    """Return the class of connections, made when the driver is first needed: it is an extra."""
    if not _classes:
        import psycopg

        class NoAnswer(psycopg.OperationalError):
            """The server did not answer in time."""

        class PatientConnection(psycopg.Connection[Any]):
            """A connection that is closed once the server has not answered for too long."""

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
                            # What it was to do may still be done; nothing more can be had from this connection.
                            self.pgconn.finish()
                            raise no_answer(self.patience)
                        wanted = gen.send(ready)
                except StopIteration as end:
                    return end.value

        _classes.extend((PatientConnection, NoAnswer))
    return _classes[0]


def no_answer(seconds: float) -> Exception:
    """Return the error of a server that did not answer within so many seconds."""
    _patient_class()
    made: Exception = _classes[1](f"the server did not answer within {seconds:g} seconds")
    return made
