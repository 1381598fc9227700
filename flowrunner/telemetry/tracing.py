"""OpenTelemetry spans: one for each run, and in it one for each component (extra ``[otel]``).

Spans hold ids, names and times, never texts of conversations or settings. Where they go is set up
as in every program with OpenTelemetry, such as by ``opentelemetry-instrument``.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any, Final

from flowrunner.engine.events import RunEvent
from flowrunner.errors import SettingsInvalid
from flowrunner.store.credentials import mask_text
from flowrunner.telemetry.correlation import CAUSE, REQUEST_ID

#: The events of which spans are made.
TRACED_EVENTS: Final = frozenset(
    {"run_started", "vertex_started", "vertex_finished", "run_finished", "run_failed", "run_cancelled"}
)
_ENDS: Final = frozenset({"run_finished", "run_failed", "run_cancelled"})


@dataclass(slots=True)
class _Open:
    """A span that has begun: the one below which others on its thread lie until it ends."""

    span: Any
    token: Any
    thread: int


class Tracing:
    """Makes spans of the events of runs.

    :param provider: an OpenTelemetry tracer provider; None for the one of the process.
    :raises SettingsInvalid: if OpenTelemetry is not installed.
    """

    def __init__(self, provider: Any = None) -> None:
        try:
            from opentelemetry import context, trace
        except ImportError as error:
            raise SettingsInvalid(
                "FLOWRUNNER_TRACING needs OpenTelemetry: pip install flask-flowrunner[otel]."
            ) from error
        self._context: Any = context
        self._trace: Any = trace
        self._tracer = trace.get_tracer("flowrunner", tracer_provider=provider)
        #: Open spans by run, and by vertex in it; that of the run itself has no vertex.
        self._open: dict[str, dict[str, _Open]] = {}

    def observe(self, event: RunEvent) -> None:
        """Begin or end the span that an event speaks of."""
        data = event.data
        if event.kind == "run_started":
            start = data["start"]
            self._begin(
                event,
                "",
                "flowrunner.run",
                {
                    "flowrunner.run.id": event.run_id,
                    "flowrunner.flow.id": start.flow_id,
                    "flowrunner.flow.name": start.flow_name,
                    "flowrunner.flow.content_hash": start.content_hash,
                    "flowrunner.session.source": start.session.source if start.session is not None else "",
                    "flowrunner.request.id": REQUEST_ID.get(),
                },
            )
        elif event.kind == "vertex_started":
            self._begin(event, data["vertex_id"], "flowrunner.component", {"flowrunner.vertex.id": data["vertex_id"]})
        elif event.kind == "vertex_finished":
            result = data["result"]
            self._finish(
                event,
                result.vertex_id,
                result.error,
                {
                    "flowrunner.component.type": result.type,
                    "flowrunner.component.name": result.display_name,
                    "flowrunner.component.frozen": result.used_frozen_result,
                },
            )
        elif event.kind in _ENDS:
            self._end_run(event)

    def _begin(self, event: RunEvent, vertex_id: str, name: str, attributes: dict[str, Any]) -> None:
        spans = self._open.setdefault(event.run_id, {})
        run = spans.get("")
        within = None if run is None else self._trace.set_span_in_context(run.span)
        links = self._links() if run is None else None
        span = self._tracer.start_span(
            name, context=within, attributes=attributes, start_time=_nanoseconds(event), links=links
        )
        token = self._context.attach(self._trace.set_span_in_context(span))
        spans[vertex_id] = _Open(span, token, threading.get_ident())

    def _links(self) -> list[Any] | None:
        """Return a link to the request that asked for a run which begins when that is over."""
        cause = CAUSE.get()
        if not cause:
            return None
        _, trace_id, span_id, flags = cause.split("-")
        trace = self._trace
        where = trace.SpanContext(
            int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=trace.TraceFlags(int(flags, 16))
        )
        return [trace.Link(where)]

    def _finish(self, event: RunEvent, vertex_id: str, error: str | None, attributes: dict[str, Any]) -> None:
        found = self._open.get(event.run_id, {}).pop(vertex_id, None)
        if found is None:
            return
        found.span.set_attributes(attributes)
        if error is not None:
            found.span.set_status(self._trace.Status(self._trace.StatusCode.ERROR, mask_text(error)))
        if found.thread == threading.get_ident():
            self._context.detach(found.token)
        found.span.end(end_time=_nanoseconds(event))

    def _end_run(self, event: RunEvent) -> None:
        error = None
        if event.kind == "run_failed":
            error = event.data["error"].message
        elif event.kind == "run_cancelled":
            error = event.data["reason"]
        # Components that were stopped in mid-run have no event of their own.
        for vertex_id in [vertex_id for vertex_id in self._open.get(event.run_id, {}) if vertex_id]:
            self._finish(event, vertex_id, error, {})
        self._finish(event, "", error, {"flowrunner.run.end": event.kind})
        self._open.pop(event.run_id, None)


def _nanoseconds(event: RunEvent) -> int:
    return int(event.at.timestamp() * 1_000_000) * 1000
