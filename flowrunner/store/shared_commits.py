"""Rows written in another store's transaction, where both use the same database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextvars import ContextVar, Token
from typing import Any, Final, Protocol

from sqlalchemy import Engine

#: A statement in the syntax of the database driver, and its named parameters.
Statement = tuple[str, Mapping[str, Any]]


class Parcel(Protocol):
    """Rows to commit together with the last messages of a run, derived from the result of the run."""

    #: Whether it was stored: with those messages, or right after them if they are in another store.
    delivered: bool

    def statements(self, result: Any) -> list[Statement]:
        """Return the statements."""


class Cargo:
    """Statements to execute in the next transaction of this thread on an engine, within a ``with`` block.

    ``delivered`` tells after the block whether they were executed.
    """

    __slots__ = ("_token", "delivered", "engine", "statements")

    def __init__(self, engine: Engine, statements: Sequence[Statement]) -> None:
        self.engine = engine
        self.statements = statements
        self.delivered = False
        self._token: Token[Cargo | None] | None = None

    def __enter__(self) -> Cargo:
        self._token = _cargo.set(self)
        return self

    def __exit__(self, *failure: object) -> None:
        if self._token is not None:
            _cargo.reset(self._token)


_NOTHING: Final = None
_cargo: Final[ContextVar[Cargo | None]] = ContextVar("flowrunner_cargo", default=_NOTHING)


def cargo_for(engine: Engine) -> Cargo | None:
    """Return the statements that this thread wants committed in the next transaction on an engine, or None.

    A store that writes on the engine executes ``statements`` in the transaction of its own rows, and sets
    ``delivered`` after the commit.
    """
    cargo = _cargo.get()
    return cargo if cargo is not None and cargo.engine is engine and not cargo.delivered else None
