"""The id by which everything that one request caused can be found again."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Final, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

#: Id of the request that is served in this context; empty outside of requests.
REQUEST_ID: Final[ContextVar[str]] = ContextVar("flowrunner_request_id", default="")


def on_behalf(act: Callable[P, T]) -> Callable[P, T]:
    """Return a function that does the same on another thread, in the name of the request that is served here.

    Only the id goes along: a copy of the whole context would keep the request itself alive.
    """
    request_id = REQUEST_ID.get()

    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        token = REQUEST_ID.set(request_id)
        try:
            return act(*args, **kwargs)
        finally:
            REQUEST_ID.reset(token)

    return call
