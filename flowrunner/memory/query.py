"""Queries for messages and sessions, and the changes that an update may make."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar

from flowrunner.errors import NotFound
from flowrunner.memory.message import Message


class _EveryOwner:
    """The type of the value that means all owners; only admin keys and maintenance may use it."""

    def __repr__(self) -> str:
        return "EVERY_OWNER"


EVERY_OWNER: Final = _EveryOwner()
Owner = str | _EveryOwner

#: The fields by which a list of messages can be sorted for display.
ORDER_FIELDS: Final = ("timestamp", "sender", "sender_name", "session_id", "text")

_T = TypeVar("_T")


def fold(text: str) -> str:
    """Return a text folded for a search that ignores case."""
    return text.casefold()


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageQuery:
    """Which messages are meant. All members that are set must hold (AND).

    ``owner`` is not optional: one owner, or :data:`EVERY_OWNER`. ``flow_id``, ``session_id``, ``context_id``,
    ``sender``, ``sender_name``, ``category`` and ``run_id`` are exact and case-sensitive. ``error`` keeps only rows
    with that flag. ``exclude_run`` leaves out the messages of one run. ``text`` keeps messages that contain all its
    words (separated by white space), anywhere in the text, also inside longer words, ignoring case. ``ids`` keeps
    those with one of the ids; an empty tuple means none. ``since`` and ``until`` bound the timestamp (``since <= t <
    until``).

    ``limit`` keeps the newest N messages after skipping the newest ``offset``, by order of append and after all other
    filters; None keeps all. ``before`` and ``after`` are ids of messages (cursors): only messages appended before, or
    after, that one. A cursor may be any message of the owner, in any session; if it does not exist or belongs to
    another owner, the operation raises :class:`~flowrunner.NotFound`. With ``after``, offset and limit count from the
    *oldest*, so that a reader can page forward.
    """

    owner: Owner
    session_id: str | None = None
    flow_id: str | None = None
    context_id: str | None = None
    sender: str | None = None
    sender_name: str | None = None
    ids: tuple[str, ...] | None = None
    error: bool | None = None
    category: str | None = None
    exclude_run: str | None = None
    run_id: str | None = None
    text: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    before: str | None = None
    after: str | None = None
    limit: int | None = None
    offset: int = 0

    def words(self) -> tuple[str, ...]:
        """Return the folded words of ``text``."""
        return tuple(fold(self.text).split()) if self.text else ()

    def reaches(self, owner: str) -> bool:
        """Return whether the query reaches the messages of an owner."""
        return isinstance(self.owner, _EveryOwner) or owner == self.owner

    def matches(self, message: Message) -> bool:
        """Return whether the query means a message, ignoring limit, offset and cursors."""
        if not self.reaches(message.owner):
            return False
        for name in _EXACT:
            wanted = getattr(self, name)
            if wanted is not None and getattr(message, name) != wanted:
                return False
        if self.ids is not None and message.id not in self.ids:
            return False
        if self.exclude_run is not None and message.run_id == self.exclude_run:
            return False
        if self.since is not None and message.timestamp < self.since:
            return False
        if self.until is not None and message.timestamp >= self.until:
            return False
        if self.text:
            folded = fold(message.text)
            return all(word in folded for word in self.words())
        return True

    def window(self, found: Sequence[_T]) -> list[_T]:
        """Apply offset and limit to the messages that match everything else.

        :param found: messages in order of append, oldest first.
        """
        if self.after is not None:
            return list(found[self.offset : None if self.limit is None else self.offset + self.limit])
        stop = max(0, len(found) - self.offset)
        return list(found[0 if self.limit is None else max(0, stop - self.limit) : stop])

    def select(self, messages: Iterable[Message]) -> list[Message]:
        """Answer the query from a list of all messages, in order of append. This suffices for a simple backend.

        :raises NotFound: if a cursor is not among them.
        """
        rows = list(messages)
        start = 0 if self.after is None else self._place(rows, self.after) + 1
        stop = len(rows) if self.before is None else self._place(rows, self.before)
        return self.window([message for message in rows[start:stop] if self.matches(message)])

    def _place(self, rows: Sequence[Message], cursor: str) -> int:
        for place, message in enumerate(rows):
            if message.id == cursor and self.reaches(message.owner):
                return place
        raise cursor_gone(cursor)

    def replace(self, **changes: Any) -> MessageQuery:
        """Return a copy with the named members changed."""
        return dataclasses.replace(self, **changes)

    def become(self, **members: Any) -> None:
        """Modify this query in place; only for plugins that wrap a hook.

        All implementations of a hook get the same object, so this is how a plugin changes the query for the backend.
        Each call of a hook has its own query.
        """
        _become(self, members)


_EXACT: Final = (
    "session_id",
    "flow_id",
    "context_id",
    "sender",
    "sender_name",
    "error",
    "category",
    "run_id",
)


def cursor_gone(cursor: str) -> NotFound:
    """Return the error for a cursor whose message or session does not exist."""
    return NotFound(f"The cursor {cursor} does not name a stored message.")


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageChanges:
    """What an update may change in a message; None leaves a field as it is.

    Id, owner, flow, run and timestamp can never change.
    """

    text: str | None = None
    sender: str | None = None
    sender_name: str | None = None
    session_id: str | None = None
    context_id: str | None = None
    files: tuple[str, ...] | None = None
    edit: bool | None = None
    error: bool | None = None
    properties: dict[str, Any] | None = None
    content_blocks: tuple[dict[str, Any], ...] | None = None
    category: str | None = None
    duration: float | None = None
    session_metadata: dict[str, Any] | None = None

    def given(self) -> dict[str, Any]:
        """Return the new values by field name."""
        return {f.name: v for f in dataclasses.fields(self) if (v := getattr(self, f.name)) is not None}

    def apply(self, message: Message) -> Message:
        """Return the changed message."""
        return message.replace(**self.given())

    def become(self, **members: Any) -> None:
        """Modify these changes in place; only for plugins that wrap a hook, see :meth:`MessageQuery.become`."""
        _become(self, members)

    def rewrite(self, messages: Iterable[Message], meant: Iterable[Message]) -> list[Message]:
        """Return all messages with the changes applied to some of them, in their new order.

        A session that gains messages and had some before is sorted by time; messages of other sessions keep their
        positions. This suffices for an update in a simple backend.

        :param messages: all messages, in order of append.
        :param meant: the messages to change.
        """
        before = list(messages)
        ids = {message.id for message in meant}
        rows = [self.apply(message) if message.id in ids else message for message in before]
        gaining = {
            (new.owner, new.session_id)
            for old, new in zip(before, rows, strict=True)
            if old.session_id != new.session_id
        }
        had = {(message.owner, message.session_id) for message in before}
        for session in gaining & had:
            places = [n for n, m in enumerate(rows) if (m.owner, m.session_id) == session]
            merged = sorted((rows[n] for n in places), key=lambda message: message.timestamp)
            for place, message in zip(places, merged, strict=True):
                rows[place] = message
        return rows


def changes_to(message: Message, *, without: Sequence[str] = ()) -> MessageChanges:
    """Return the changes that make another message like this one, but for some fields."""
    names = (field.name for field in dataclasses.fields(MessageChanges) if field.name not in without)
    return MessageChanges(**{name: _copied(getattr(message, name)) for name in names})


def _copied(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return tuple(map(_copied, value))
    return dict(value) if isinstance(value, Mapping) else value


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSummary:
    """The summary of a session.

    ``flow_ids`` are the flows that its messages came from, sorted. ``first_at`` and ``last_at``
    are the timestamps of the messages that are first and last in order of append.
    """

    owner: str
    session_id: str
    flow_ids: tuple[str, ...]
    count: int
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionQuery:
    """Which sessions to select, and which part of the list.

    ``flow_id`` considers only messages of that flow: sessions without any are left out, and counts, timestamps and
    activity are those of the flow's messages. ``contains`` keeps ids that contain the text, ignoring case. ``limit``
    and ``offset`` count from the latest activity. ``after`` is the last session id of the previous page: the list
    continues after it, even if other sessions became active meanwhile; if that session is gone, the operation raises
    :class:`~flowrunner.NotFound`. If the query reaches every owner, ``after_owner`` names the owner of that session;
    without it, the least active session with this id is meant.
    """

    owner: Owner
    flow_id: str | None = None
    session_id: str | None = None
    contains: str | None = None
    after: str | None = None
    after_owner: str | None = None
    limit: int | None = None
    offset: int = 0

    def matches(self, session_id: str) -> bool:
        """Return whether a session id matches the query."""
        if self.session_id is not None and session_id != self.session_id:
            return False
        return not self.contains or fold(self.contains) in fold(session_id)

    def is_after(self, summary: SessionSummary) -> bool:
        """Return whether ``after`` names this session."""
        return summary.session_id == self.after and self.after_owner in (None, summary.owner)

    def select(self, messages: Iterable[Message]) -> list[SessionSummary]:
        """Answer the query from a list of all messages, in order of append. This suffices for a simple backend.

        :raises NotFound: if the session in ``after`` does not exist.
        """
        groups: dict[tuple[str, str], list[Message]] = {}
        for message in messages:
            if MessageQuery(owner=self.owner, flow_id=self.flow_id).matches(message):
                key = (message.owner, message.session_id)
                group = groups.pop(key, [])
                group.append(message)
                # Remove and insert again, so that the session with the latest activity is last.
                groups[key] = group
        summaries = [summarise(group) for group in reversed(groups.values())]
        return self.window(summaries)

    def window(self, summaries: list[SessionSummary]) -> list[SessionSummary]:
        """Return what cursor, ids, offset and limit leave of summaries, given latest activity first.

        :raises NotFound: if the session that ``after`` names is not among them.
        """
        if self.after is not None:
            places = [n for n, summary in enumerate(summaries) if self.is_after(summary)]
            if not places:
                raise cursor_gone(self.after)
            summaries = summaries[places[-1] + 1 :]
        meant = [summary for summary in summaries if self.matches(summary.session_id)]
        return meant[self.offset : None if self.limit is None else self.offset + self.limit]


def summarise(messages: Sequence[Message]) -> SessionSummary:
    """Return the summary of a session.

    :param messages: its messages, at least one, in order of append.
    """
    first, last = messages[0], messages[-1]
    return SessionSummary(
        owner=last.owner,
        session_id=last.session_id,
        flow_ids=tuple(sorted({message.flow_id for message in messages if message.flow_id is not None})),
        count=len(messages),
        first_at=first.timestamp,
        last_at=last.timestamp,
    )


def _become(record: Any, members: dict[str, Any]) -> None:
    changed = dataclasses.replace(record, **members)
    for name in members:
        object.__setattr__(record, name, getattr(changed, name))
