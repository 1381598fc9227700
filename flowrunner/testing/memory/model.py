"""The reference model: a plain list of messages to compare a backend with."""

from __future__ import annotations

from flowrunner.memory.message import Message
from flowrunner.memory.query import EVERY_OWNER, MessageChanges, MessageQuery, SessionQuery, SessionSummary


class ListModel:
    """Says what the contract says, in other words than any backend: all messages in order of append."""

    def __init__(self) -> None:
        self.rows: list[Message] = []

    def holds(self, message_id: str) -> bool:
        """Say whether an id is taken."""
        return any(row.id == message_id for row in self.rows)

    def fetch(self, query: MessageQuery) -> list[Message]:
        """Return the messages meant, oldest first."""
        ids = [row.id for row in self.rows]
        rows = self.rows
        if query.before is not None:
            rows = rows[: ids.index(query.before)]
        if query.after is not None:
            rows = [row for row in rows if ids.index(row.id) > ids.index(query.after)]
        found = [row for row in rows if query.matches(row)]
        if query.after is None:
            found.reverse()
        found = found[query.offset :]
        found = found if query.limit is None else found[: query.limit]
        return found if query.after is not None else found[::-1]

    def update(self, query: MessageQuery, changes: MessageChanges) -> list[Message]:
        """Change the messages meant and return them."""
        ids = [row.id for row in self.fetch(query)]
        targets = {row.owner for row in self.rows if row.session_id == changes.session_id}
        gaining = {row.owner for row in self.rows if row.id in ids and row.session_id != changes.session_id}
        self.rows = [changes.apply(row) if row.id in ids else row for row in self.rows]
        for owner in targets & gaining if changes.session_id is not None else ():
            self._sort(owner, changes.session_id or "")
        return [row for row in self.rows if row.id in ids]

    def _sort(self, owner: str, session_id: str) -> None:
        there = [row for row in self.rows if (row.owner, row.session_id) == (owner, session_id)]
        in_time = iter(sorted(there, key=lambda row: row.timestamp))
        self.rows = [next(in_time) if (row.owner, row.session_id) == (owner, session_id) else row for row in self.rows]

    def delete(self, query: MessageQuery) -> int:
        """Remove the messages meant and return their number."""
        ids = [row.id for row in self.fetch(query)]
        self.rows = [row for row in self.rows if row.id not in ids]
        return len(ids)

    def sessions(self, query: SessionQuery) -> list[SessionSummary]:
        """Return the sessions meant, latest activity first; ``after`` is left to other tests."""
        found: list[SessionSummary] = []
        for row in reversed(self.rows):
            if query.owner not in (EVERY_OWNER, row.owner) or query.flow_id not in (None, row.flow_id):
                continue
            if any((seen.owner, seen.session_id) == (row.owner, row.session_id) for seen in found):
                continue
            session = [
                other
                for other in self.rows
                if (other.owner, other.session_id) == (row.owner, row.session_id)
                and query.flow_id in (None, other.flow_id)
            ]
            found.append(
                SessionSummary(
                    owner=row.owner,
                    session_id=row.session_id,
                    flow_ids=tuple(sorted({other.flow_id for other in session if other.flow_id is not None})),
                    count=len(session),
                    first_at=session[0].timestamp,
                    last_at=session[-1].timestamp,
                )
            )
        return found[query.offset :][: query.limit]
