"""List sessions from the catalogue, reading as few session files as possible."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from itertools import islice

from flowrunner import Message, SessionQuery, SessionSummary, cursor_gone, summarise
from flowrunner_file_json.session_file import Damaged
from flowrunner_file_json.store import Store

#: Newest place below zero, digest, messages: what a heap gives out with the latest activity first.
_Found = tuple[int, str, list[Message]]


def list_sessions(store: Store, query: SessionQuery) -> list[SessionSummary]:
    """Return the sessions meant, latest activity first.

    :raises NotFound: if the session that ``after`` names is not there.
    """
    before = None if query.after is None else _activity(store, query)
    sessions = (summarise(messages) for messages in _by_activity(store, query, before))
    stop = None if query.limit is None else query.offset + query.limit
    return list(islice(sessions, query.offset, stop))


def _by_activity(store: Store, query: SessionQuery, before: int | None) -> Iterator[list[Message]]:
    """Go through the messages of each session meant.

    The catalogue knows a bound of each session's activity. A session waits until no other one can
    come before it.
    """
    waiting: list[_Found] = []
    for entry in store.catalogue.by_activity(query.owner):
        if before is not None and entry.exact and entry.newest >= before and query.flow_id is None:
            continue
        if not query.matches(entry.session_id) or (query.flow_id is not None and query.flow_id not in entry.flows):
            continue
        while waiting and -waiting[0][0] > entry.newest:
            yield heapq.heappop(waiting)[2]
        try:
            found = _look(store, entry.owner, entry.session_id, query, digest=entry.digest)
        except Damaged:
            # The log says so; the others can be listed.
            continue
        store.catalogue.set_newest(entry, store.file(entry.owner, entry.session_id).last_seq)
        if found is not None and (before is None or -found[0] < before):
            heapq.heappush(waiting, found)
    while waiting:
        yield heapq.heappop(waiting)[2]


def _look(store: Store, owner: str, session_id: str, query: SessionQuery, digest: str = "") -> _Found | None:
    """Return the messages of a session, of the flow if one is asked for, or None if there are none."""
    rows = [
        row
        for row in store.file(owner, session_id).rows.values()
        if query.flow_id is None or row[1].flow_id == query.flow_id
    ]
    return (-rows[-1][0], digest, [message for _, message in rows]) if rows else None


def _activity(store: Store, query: SessionQuery) -> int:
    """Return the newest place in the session that ``after`` names."""
    session_id = query.after or ""
    owner = query.owner if isinstance(query.owner, str) else query.after_owner
    owners = [owner] if owner is not None else [entry.owner for entry in store.catalogue.of_session(session_id)]
    places = [-found[0] for one in owners if (found := _look(store, one, session_id, query)) is not None]
    if not places:
        raise cursor_gone(session_id)
    return min(places)
