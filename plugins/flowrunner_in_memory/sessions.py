"""Which messages a session has, and which session was active last."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, Mapping

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
        rows = self._rows(query, messages)
        if query.after is not None:
            listed = list(rows)
            ends = [n for n, (key, _) in enumerate(listed) if key == (query.after_owner or key[0], query.after)]
            if not ends:
                raise cursor_gone(query.after)
            rows = iter(listed[ends[-1] + 1 :])
        found: list[SessionSummary] = []
        skip = query.offset
        for key, places in rows:
            if query.limit is not None and len(found) >= query.limit:
                break
            if not query.matches(key[1]):
                continue
            if skip:
                skip -= 1
                continue
            found.append(summarise([messages[place] for place in places]))
        return found

    def _rows(self, query: SessionQuery, messages: Mapping[int, Message]) -> Iterator[tuple[Key, list[int]]]:
        """Go through the sessions of the owner and flow, latest activity first."""
        self._sort()
        rows = ((key, self._places[key]) for key in reversed(self._places) if query.owner in (key[0], EVERY_OWNER))
        if query.flow_id is None:
            return rows
        kept = [(key, [p for p in places if messages[p].flow_id == query.flow_id]) for key, places in rows]
        return iter(sorted(((k, p) for k, p in kept if p), key=lambda row: row[1][-1], reverse=True))

    def _sort(self) -> None:
        if not self._sorted:
            self._places = dict(sorted(self._places.items(), key=lambda item: item[1][-1]))
            self._sorted = True
