"""The messages of each session, and the order in which sessions were last active."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, Mapping
from heapq import heappop, heappush
from itertools import islice

from flowrunner import EVERY_OWNER, Message, Owner, SessionQuery, SessionSummary, cursor_gone, summarise

Key = tuple[str, str]


class SessionIndex:
    """The places of the messages of each session, in order."""

    def __init__(self) -> None:
        # The session that was active last stands last, unless a removal or a move put that in doubt.
        self._places: dict[Key, list[int]] = {}
        self._by_id: dict[str, set[str]] = {}
        self._sorted = True

    def add(self, owner: str, session_id: str, place: int) -> None:
        """Take in a message; a place that is not the newest may come too."""
        key = (owner, session_id)
        places = self._places.pop(key, None)
        if places is None:
            places = []
            self._by_id.setdefault(session_id, set()).add(owner)
        if self._places and self._places[next(reversed(self._places))][-1] > place:
            self._sorted = False
        insort(places, place)
        self._places[key] = places

    def remove(self, owner: str, session_id: str, place: int) -> None:
        """Forget a message."""
        key = (owner, session_id)
        places = self._places[key]
        del places[bisect_left(places, place)]
        if not places:
            del self._places[key]
            self._by_id[session_id].remove(owner)
            if not self._by_id[session_id]:
                del self._by_id[session_id]
        elif places[-1] < place:
            self._sorted = False

    def places(self, owner: Owner, session_id: str) -> list[int]:
        """Return the places of a session, of one owner or of every owner that has it."""
        if isinstance(owner, str):
            return list(self._places.get((owner, session_id), ()))
        owners = self._by_id.get(session_id, ())
        return sorted(place for one in owners for place in self._places[(one, session_id)])

    def answer(self, query: SessionQuery, messages: Mapping[int, Message]) -> list[SessionSummary]:
        """Return the sessions meant, latest activity first.

        :param messages: all messages, by place.
        :raises NotFound: if the session that ``after`` names is not there.
        """
        self._sort()
        rows = self._by_activity(query, messages)
        if query.after is not None:
            before = self._activity(query, query.after, messages)
            rows = (places for places in rows if places[-1] < before)
        stop = None if query.limit is None else query.offset + query.limit
        return [summarise([messages[place] for place in places]) for places in islice(rows, query.offset, stop)]

    def _by_activity(self, query: SessionQuery, messages: Mapping[int, Message]) -> Iterator[list[int]]:
        """Go through the places of each session meant, latest activity first.

        Where only one flow counts, a session waits until no other one can come before it.
        """
        waiting: list[tuple[int, list[int]]] = []
        for owner, session_id in reversed(self._places):
            if query.owner not in (owner, EVERY_OWNER) or not query.matches(session_id):
                continue
            places = self._places[owner, session_id]
            while waiting and -waiting[0][0] > places[-1]:
                yield heappop(waiting)[1]
            kept = _of_flow(query, places, messages)
            if kept:
                heappush(waiting, (-kept[-1], kept))
        while waiting:
            yield heappop(waiting)[1]

    def _activity(self, query: SessionQuery, session_id: str, messages: Mapping[int, Message]) -> int:
        """Return the newest place in the session that ``after`` names."""
        owner = query.owner if isinstance(query.owner, str) else query.after_owner
        owners = self._by_id.get(session_id, set()) if owner is None else {owner}
        kept = [_of_flow(query, self._places.get((one, session_id), []), messages) for one in owners]
        found = [places[-1] for places in kept if places]
        if not found:
            raise cursor_gone(session_id)
        return min(found)

    def _sort(self) -> None:
        if not self._sorted:
            self._places = dict(sorted(self._places.items(), key=lambda item: item[1][-1]))
            self._sorted = True


def _of_flow(query: SessionQuery, places: list[int], messages: Mapping[int, Message]) -> list[int]:
    """Return the places that count: all, or those of the one flow that is asked for."""
    return [place for place in places if query.flow_id in (None, messages[place].flow_id)]
