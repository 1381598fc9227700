"""A store in a dict, with a lock around it."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from flowrunner import (
    MemoryBackend,
    Message,
    MessageChanges,
    MessageInvalid,
    MessageQuery,
    SessionQuery,
    SessionSummary,
    after_fork,
    cursor_gone,
    private_copy,
)
from flowrunner_in_memory.sessions import SessionIndex


class InMemory(MemoryBackend):
    """Keeps messages in this process, by their place in the order of append.

    :param max_messages: the oldest messages are dropped beyond that many; None keeps all.
    """

    def __init__(self, max_messages: int | None = None) -> None:
        self._max_messages = max_messages
        self._lock = threading.Lock()
        after_fork(self._renew)
        self._next = 0
        # A dict keeps the order in which places were taken, and a place is never taken twice.
        self._messages: dict[int, Message] = {}
        self._places: dict[str, int] = {}
        self._sessions = SessionIndex()

    def append_messages(self, messages: Sequence[Message]) -> list[Message]:
        with self._lock:
            self._refuse_taken([str(message.id) for message in messages])
            for message in messages:
                self._put(self._next, private_copy(message))
                self._next += 1
            self._drop_oldest()
        return list(messages)

    def fetch_messages(self, query: MessageQuery) -> list[Message]:
        with self._lock:
            return [private_copy(self._messages[place]) for place in self._find(query)]

    def update_messages(self, query: MessageQuery, changes: MessageChanges) -> list[Message]:
        with self._lock:
            meant = self._find(query)
            ids = [str(self._messages[place].id) for place in meant]
            if changes.session_id is not None:
                self._move(meant, changes.session_id)
            for place in sorted(self._places[i] for i in ids):
                self._messages[place] = private_copy(changes.apply(self._messages[place]))
            return [private_copy(self._messages[place]) for place in sorted(self._places[i] for i in ids)]

    def delete_messages(self, query: MessageQuery) -> int:
        with self._lock:
            meant = self._find(query)
            for place in meant:
                self._take(place)
            return len(meant)

    def list_sessions(self, query: SessionQuery) -> list[SessionSummary]:
        with self._lock:
            return self._sessions.answer(query, self._messages)

    def close(self) -> bool:
        return True

    def _refuse_taken(self, ids: Sequence[str]) -> None:
        taken = [i for n, i in enumerate(ids) if i in self._places or i in ids[:n]]
        if taken:
            raise MessageInvalid(f"A message with the id {taken[0]} already exists.")

    def _put(self, place: int, message: Message) -> None:
        self._messages[place] = message
        self._places[str(message.id)] = place
        self._sessions.add(message.owner, message.session_id, place)

    def _take(self, place: int) -> Message:
        message = self._messages.pop(place)
        del self._places[str(message.id)]
        self._sessions.remove(message.owner, message.session_id, place)
        return message

    def _drop_oldest(self) -> None:
        while self._max_messages is not None and len(self._messages) > self._max_messages:
            self._take(next(iter(self._messages)))

    def _find(self, query: MessageQuery) -> list[int]:
        """Return the places of the messages meant, oldest first."""
        after = -1 if query.after is None else self._cursor(query, query.after)
        before = self._next if query.before is None else self._cursor(query, query.before)
        forward = query.after is not None
        enough = None if query.limit is None else query.limit + query.offset
        found: list[int] = []
        # Candidates by ids are those of the ids; to look each up among them again would be quadratic.
        meant = query if query.ids is None else dataclasses.replace(query, ids=None)
        if enough != 0:
            for place in self._candidates(query, forward):
                if after < place < before and meant.matches(self._messages[place]):
                    found.append(place)
                    if len(found) == enough:
                        break
        if not forward:
            found.reverse()
        return query.window(found)

    def _candidates(self, query: MessageQuery, forward: bool) -> Iterator[int]:
        """Go through the places where messages of the query may be, oldest or newest first."""
        places: Iterable[int]
        if query.ids is not None:
            places = sorted(self._places[i] for i in set(query.ids) if i in self._places)
        elif query.session_id is not None:
            places = self._sessions.places(query.owner, query.session_id)
        else:
            return iter(self._messages) if forward else reversed(self._messages)
        return iter(places) if forward else iter(list(places)[::-1])

    def _cursor(self, query: MessageQuery, cursor: str) -> int:
        place = self._places.get(cursor)
        if place is None or not query.reaches(self._messages[place].owner):
            raise cursor_gone(cursor)
        return place

    def _move(self, meant: list[int], session_id: str) -> None:
        """Move messages to a session of their owners; see the contract for the order they get."""
        moving: dict[str, list[int]] = {}
        for place in meant:
            if self._messages[place].session_id != session_id:
                moving.setdefault(self._messages[place].owner, []).append(place)
        for owner, places in moving.items():
            present = self._sessions.places(owner, session_id)
            merging = sorted([*places, *present])
            rows: list[Any] = [self._messages[place] for place in merging]
            if present:
                rows.sort(key=lambda message: message.timestamp)
            for place in places:
                old = self._messages[place]
                self._sessions.remove(old.owner, old.session_id, place)
                self._sessions.add(owner, session_id, place)
            for place, message in zip(merging, rows, strict=True):
                self._messages[place] = message.replace(session_id=session_id)
                self._places[message.id] = place

    def _renew(self) -> None:
        """Give a forked child a lock of its own: nobody there would release one that was held at that moment."""
        self._lock = threading.Lock()
