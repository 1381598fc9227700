"""Rows written in another store's transaction, where both use the same database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextvars import ContextVar, Token
from typing import Any, Final, Protocol

from sqlalchemy import Engine

#: A statement in the words of the database's driver, and its named parameters.
Statement = tuple[str, Mapping[str, Any]]


class Parcel(Protocol):
    """What somebody wants committed together with the last messages of a run, made of the run's result."""

    #: It is stored: with those messages, or right after them where they are kept elsewhere.
    delivered: bool

    def statements(self, result: Any) -> list[Statement]:
        """Return it as statements."""


class Cargo:
    """Statements that are offered, within a ``with`` block, to whatever this thread commits on an engine.

    Whether they were ``delivered`` shows after the block.
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
    """Return what this thread wants to have committed along, for a store that writes on this engine.

    Such a store executes ``statements`` in the transaction of its own rows and sets ``delivered``
    once that is committed.
    """
    cargo = _cargo.get()
    return cargo if cargo is not None and cargo.engine is engine and not cargo.delivered else None
