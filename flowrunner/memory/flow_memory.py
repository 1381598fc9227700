"""The messages of an owner that came from some flows, as keys that are limited to flows reach them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from flowrunner.memory import MessageChanges, OwnerMemory, SessionSummary
from flowrunner.memory.message import Message
from flowrunner.memory.query import MessageQuery, SessionQuery


class FlowMemory:
    """The messages of an owner that came from some flows; the same operations as :class:`OwnerMemory`.

    Each flow is asked for its own, and the store then for all that were found: only it knows the order of append.
    """

    def __init__(self, memory: OwnerMemory, flows: Sequence[str]) -> None:
        self._memory = memory
        self._flows = tuple(flows)
        self.owner = memory.owner

    def fetch(self, *, limit: int | None = None, offset: int = 0, **query: Any) -> list[Message]:
        """Return messages, oldest first."""
        flows = self._reach(query)
        if len(flows) == 1:
            return self._memory.fetch(flow_id=flows[0], limit=limit, offset=offset, **query)
        window = MessageQuery(owner=self.owner, limit=limit, offset=offset, after=query.get("after")).window
        wanted = None if limit is None else limit + offset
        found = [m for flow in flows for m in self._memory.fetch(flow_id=flow, limit=wanted, **query)]
        return window(self._in_order(found))

    def update(self, changes: MessageChanges, **query: Any) -> list[Message]:
        """Change messages and return them; those of several flows at once, so that they move in their order."""
        flows = self._reach(query)
        if len(flows) == 1:
            return self._memory.update(changes, flow_id=flows[0], **query)
        found = [m for flow in flows for m in self._memory.fetch(flow_id=flow, **query)]
        return self._memory.update(changes, ids=_ids_of(found)) if found else []

    def delete(self, **query: Any) -> int:
        """Remove messages, flow by flow, and return their number."""
        return sum(self._memory.delete(flow_id=flow, **query) for flow in self._reach(query))

    def sessions(self, **query: Any) -> list[SessionSummary]:
        """Return sessions, latest activity first."""
        flows = self._reach(query)
        if len(flows) == 1:
            return self._memory.sessions(flow_id=flows[0], **query)
        window = {name: query.pop(name) for name in ("after", "after_owner", "limit", "offset") if name in query}
        merged: dict[tuple[str, str], SessionSummary] = {}
        for summary in (s for flow in flows for s in self._memory.sessions(flow_id=flow, **query)):
            key = (summary.owner, summary.session_id)
            merged[key] = _joined(merged[key], summary) if key in merged else summary
        rows = sorted(merged.values(), key=lambda s: s.last_at, reverse=True)
        return SessionQuery(owner=self.owner, **window).window(rows)

    def _reach(self, query: dict[str, Any]) -> tuple[str, ...]:
        """Take the flow out of a query; return the flows to ask, none for a flow out of reach."""
        wanted = query.pop("flow_id", None)
        if wanted is None:
            return self._flows
        return (wanted,) if wanted in self._flows else ()

    def _in_order(self, found: Sequence[Message]) -> list[Message]:
        """Return messages in order of append; one that is gone by now is left out."""
        return self._memory.fetch(ids=_ids_of(found)) if found else []


def _ids_of(messages: Sequence[Message]) -> tuple[str, ...]:
    return tuple(str(message.id) for message in messages)


def _joined(one: SessionSummary, other: SessionSummary) -> SessionSummary:
    return replace(
        one,
        flow_ids=tuple(sorted({*one.flow_ids, *other.flow_ids})),
        count=one.count + other.count,
        first_at=min(one.first_at, other.first_at),
        last_at=max(one.last_at, other.last_at),
    )
