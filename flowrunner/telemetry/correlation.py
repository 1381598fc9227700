"""Correlation ids: the request id and the trace, attached to everything a request causes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, NamedTuple, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

#: Id of the request that is served in this context; empty outside of requests.
REQUEST_ID: Final[ContextVar[str]] = ContextVar("flowrunner_request_id", default="")
#: The span that what happens in this context goes back to, where that has ended long ago: as W3C writes it.
CAUSE: Final[ContextVar[str]] = ContextVar("flowrunner_cause", default="")


class Origin(NamedTuple):
    """The request that asked for something which happens later: its id, and its span as W3C's traceparent."""

    request_id: str = ""
    trace: str = ""


def origin() -> Origin:
    """Return the request that is served here, for what happens later in its name."""
    trace: Any = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return Origin(REQUEST_ID.get())
    found = trace.get_current_span().get_span_context()
    if not found.is_valid:
        return Origin(REQUEST_ID.get())
    text = f"00-{found.trace_id:032x}-{found.span_id:016x}-{int(found.trace_flags):02x}"
    return Origin(REQUEST_ID.get(), text)


@contextmanager
def going_back_to(cause: Origin) -> Iterator[None]:
    """Do what a request asked for that is over: with its id, and a link to its span."""
    tokens = REQUEST_ID.set(cause.request_id), CAUSE.set(cause.trace)
    try:
        yield
    finally:
        REQUEST_ID.reset(tokens[0])
        CAUSE.reset(tokens[1])


def on_behalf(act: Callable[P, T]) -> Callable[P, T]:
    """Return a function that does the same on another thread, in the name of the request that is served here.

    Only its id goes along, and its span where OpenTelemetry is in use: a copy of the whole context would
    keep the request itself alive.
    """
    request_id = REQUEST_ID.get()
    telemetry: Any = sys.modules.get("opentelemetry.context")
    spans = None if telemetry is None else telemetry.get_current()

    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        token = REQUEST_ID.set(request_id)
        attached = telemetry.attach(spans) if spans else None
        try:
            return act(*args, **kwargs)
        finally:
            if attached is not None:
                telemetry.detach(attached)
            REQUEST_ID.reset(token)

    return call
