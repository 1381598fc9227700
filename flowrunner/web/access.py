"""The messages and flows that a caller may access: their own, everybody's for admins, single flows for limited keys."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from flowrunner.errors import FlowNotFound
from flowrunner.flows.naming import canonical_uuid
from flowrunner.memory import MessageChanges, OwnerMemory, SessionSummary
from flowrunner.memory.message import Message
from flowrunner.memory.query import MessageQuery, cursor_gone
from flowrunner.store.runlog import RunLog
from flowrunner.store.runrecords import RunRecords
from flowrunner.web.auth import caller, this_runner


def messages_to_read() -> OwnerMemory | FlowMemory:
    """Return the messages that the caller may read."""
    return _limited(this_runner().memory_of(caller(), admin=True))


def messages_to_change() -> OwnerMemory | FlowMemory:
    """Return the messages that the caller may change: those of one owner, also for admins."""
    return _limited(this_runner().memory_of(caller()))


def flows_in_reach() -> tuple[str, ...] | None:
    """Return the ids of the flows that the caller's key is limited to, None where it is not limited."""
    runner, identity = this_runner(), caller()
    if identity.flows is None:
        return None
    found = set()
    for name in identity.flows:
        canonical = canonical_uuid(name)
        if canonical is not None:
            found.add(canonical)
            continue
        with suppress(FlowNotFound):
            found.add(runner.library.get(name, identity).id)
    return tuple(sorted(found))


def in_reach(flow_id: str) -> bool:
    """Say whether the caller may use a flow, as far as their key is limited to some."""
    flows = flows_in_reach()
    return flows is None or flow_id in flows


def run_log_of(flow_id: str | None) -> RunLog | None:
    """Return the run log; None where none is kept, or the flow that is asked for is out of reach."""
    return this_runner().stores.run_log if flow_id is None or in_reach(flow_id) else None


def run_records() -> RunRecords:
    """Return the records of runs, also where no run log is kept beside them."""
    return this_runner().stores.run_log or RunRecords(this_runner().engine, 1)


def _limited(memory: OwnerMemory) -> OwnerMemory | FlowMemory:
    flows = flows_in_reach()
    return memory if flows is None else FlowMemory(memory, flows)


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
        after, limit, offset = query.pop("after", None), query.pop("limit", None), query.pop("offset", 0)
        owner = query.pop("after_owner", None)
        merged: dict[tuple[str, str], SessionSummary] = {}
        for summary in (s for flow in flows for s in self._memory.sessions(flow_id=flow, **query)):
            key = (summary.owner, summary.session_id)
            merged[key] = _joined(merged[key], summary) if key in merged else summary
        rows = sorted(merged.values(), key=lambda s: s.last_at, reverse=True)
        if after is not None:
            places = [n for n, s in enumerate(rows) if s.session_id == after and owner in (None, s.owner)]
            if not places:
                raise cursor_gone(after)
            rows = rows[places[-1] + 1 :]
        return rows[offset : None if limit is None else offset + limit]

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
    return SessionSummary(
        owner=one.owner,
        session_id=one.session_id,
        flow_ids=tuple(sorted({*one.flow_ids, *other.flow_ids})),
        count=one.count + other.count,
        first_at=min(one.first_at, other.first_at),
        last_at=max(one.last_at, other.last_at),
    )
