"""The contract of a memory backend, the store that keeps conversations."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar, Protocol, TypeVar

from flowrunner.errors import MemoryFailed, MessageInvalid
from flowrunner.memory.message import Message, each_message, new_id
from flowrunner.memory.query import (
    EVERY_OWNER,
    MessageChanges,
    MessageQuery,
    Owner,
    SessionQuery,
    SessionSummary,
)

T = TypeVar("T")


class MemoryOperations(Protocol):
    """The operations of :class:`MemoryBackend`, as callers see them."""

    def append_messages(self, messages: Sequence[Message]) -> list[Message]: ...
    def fetch_messages(self, query: MessageQuery) -> list[Message]: ...
    def update_messages(self, query: MessageQuery, changes: MessageChanges) -> list[Message]: ...
    def delete_messages(self, query: MessageQuery) -> int: ...
    def list_sessions(self, query: SessionQuery) -> list[SessionSummary]: ...
    def session_lock(self, owner: str, session_id: str, wait: float) -> AbstractContextManager[bool] | None: ...
    def close(self) -> bool: ...


class MemoryBackend(ABC):
    """A store of conversations. **This docstring is the contract**; the kit in ``flowrunner.testing`` tests it, and
    nothing else defines it.

    *Order* is the order of append, never the clock. Two appends that return one after the other are in that order for
    every reader, in every thread and process; and a reader that has seen a message never sees another one appear
    before it later, except in a session that was merged (below). So a reader that follows a store with ``after``
    misses nothing.

    *Owners.* The same session id of two owners is two sessions. A query reaches only messages of its owner;
    :data:`EVERY_OWNER` reaches all. A message is stored under its ``owner`` field.

    *Values* come back as they went in: texts character by character (NUL and control characters included), JSON
    values as JSON, timestamps to the microsecond. A session id is any non-empty text of any length; ids of messages,
    owners and flows have at most 255 characters. Text that UTF-8 cannot encode (a lone surrogate) may be refused with
    :class:`~flowrunner.MessageInvalid`. Changing an object that was passed in or returned has no effect on the store.

    ``append_messages`` takes messages of one owner and one session, stores all or none, keeps their order, and
    returns them as stored. When it returns, the messages are stored: a ``durable`` backend has them on disk. A
    message has its id, ``session_id``, ``sender`` and ``sender_name`` already; appending an id that is taken
    (anywhere in the store, or twice in one call) raises :class:`~flowrunner.MessageInvalid`. An empty list returns an
    empty list.

    ``fetch_messages`` returns what the query means, **oldest first**. ``limit`` keeps the newest N (after
    ``offset``); with the cursor ``after`` the oldest N. Cursors are message ids, so a page stays where it is while
    others insert or delete.

    ``update_messages`` changes all messages that the query means and returns the changed messages, oldest first; if
    there are none, the list is empty. One operation edits messages, and renames or merges sessions: with
    ``changes.session_id`` the messages that are not there yet move to that session of their owner. A session that had
    no messages gets them in the order they had; a session that had some is sorted by timestamp, and by order of
    append where timestamps are equal. The merged messages keep the positions in the overall order that they had as a
    group; every other session is unchanged. All or nothing, even if the process dies in between.

    ``delete_messages`` removes the messages that the query means and returns their number. Their ids may be appended
    again.

    ``list_sessions`` returns a summary per session, latest activity first (activity = the newest append). A session
    without messages does not exist.

    ``close`` releases everything and returns True; a second call does no harm.

    *Hooks.* Each operation, the optional ``session_lock`` included, is a hook of the same name, and the core calls a
    backend only through hooks, so that a plugin that wraps one sees every call. A backend must not answer one
    operation by calling another through the hooks. Any other public method of a backend is for its own plugin; the
    core never calls it.

    ``session_lock`` is for stores that several hosts share; others return None, and runs take turns with a file lock
    on the host. It returns a context manager. Entering it waits at most ``wait`` seconds and returns whether the lock
    was acquired: there is at most one holder at a time, across all threads, processes and hosts. A failure of the
    store is :class:`~flowrunner.MemoryFailed`. Leaving it releases only its own lock, never that of another holder,
    and does not raise. If the holder dies, the lock is released: its connection ends, or its lease, which is renewed
    while the holder lives, expires. With leases, each holder writes a random token, and renews or releases the lock
    only while its own token is there. Locks of different sessions, and of the same session id of different owners,
    are independent; one thread may hold several.

    *Failure.* An operation that cannot be done raises :class:`~flowrunner.MemoryFailed` (with ``__cause__``) and
    leaves nothing half-done; no falsy value ever means failure. All operations may be called from any thread, and in
    a process forked after the backend was opened.
    """

    #: Other processes that open the same place see the same messages.
    shared: ClassVar[bool] = False
    #: Messages survive the end of the process, also ``kill -9``.
    durable: ClassVar[bool] = False
    #: Whether ``MessageQuery.text`` uses an index; every backend supports it, at least through ``matches``.
    searches: ClassVar[bool] = False
    #: The location of the messages, for display: a folder, or an address without credentials; empty if unknown.
    place: str = ""
    #: Whether ``session_lock`` of the class locks; set it on the instance if this depends on the database.
    locks: bool = True

    @abstractmethod
    def append_messages(self, messages: Sequence[Message]) -> list[Message]:
        """Store messages of one session, all or none."""

    @abstractmethod
    def fetch_messages(self, query: MessageQuery) -> list[Message]:
        """Return the messages that the query means, oldest first."""

    @abstractmethod
    def update_messages(self, query: MessageQuery, changes: MessageChanges) -> list[Message]:
        """Change the messages that the query means and return them."""

    @abstractmethod
    def delete_messages(self, query: MessageQuery) -> int:
        """Remove the messages that the query means and return their number."""

    @abstractmethod
    def list_sessions(self, query: SessionQuery) -> list[SessionSummary]:
        """Return the sessions that the query means, latest activity first."""

    @abstractmethod
    def close(self) -> bool:
        """Release everything and return True."""

    def commits_on(self, engine: Any) -> bool:
        """Return whether messages are appended on this SQLAlchemy engine, together with :func:`flowrunner.cargo_for`
        it.

        The record of a run is then part of the same transaction; otherwise it takes another one.
        """
        return False

    def session_lock(self, owner: str, session_id: str, wait: float) -> AbstractContextManager[bool] | None:
        """Return a lock on a session in the store; None if a file lock on the host is sufficient."""
        return None


class OwnerMemory:
    """The messages of one owner. Views and components access a store only through this handle.

    Every query has the owner of the handle, whatever a caller passes.
    """

    def __init__(self, operations: MemoryOperations, owner: Owner) -> None:
        self._operations = operations
        self.owner = owner

    def append(self, messages: Message | Iterable[Message]) -> list[Message]:
        """Store one or several messages under this owner; messages without an id get one.

        Messages of several sessions are stored session by session.

        :raises TypeError: if an argument is not a message.
        :raises MessageInvalid: if one lacks session id, sender or sender name, or an id is taken.
        :raises MemoryFailed: if the store fails.
        """
        if self.owner is EVERY_OWNER:
            raise MessageInvalid("A message is stored under one owner; set the owner first.")
        bound: list[Message] = []
        for message in each_message(messages):
            if not (message.session_id and message.sender and message.sender_name):
                missing = " and ".join(message.missing_to_store())
                raise MessageInvalid(f"A message cannot be stored without {missing}.")
            if message.owner != self.owner or message.id is None:
                message = message.replace(owner=self.owner, id=message.id or new_id())
            bound.append(message)
        stored: list[Message] = []
        start = 0
        for end in range(1, len(bound) + 1):
            if end == len(bound) or bound[end].session_id != bound[start].session_id:
                stored += _answered(self._operations.append_messages(bound[start:end]), "append_messages")
                start = end
        return stored

    def fetch(self, **query: Any) -> list[Message]:
        """Return messages, oldest first. The arguments are the members of :class:`MessageQuery` except the owner."""
        return _answered(self._operations.fetch_messages(self._query(query)), "fetch_messages")

    def update(self, changes: MessageChanges, **query: Any) -> list[Message]:
        """Change messages and return them. The other arguments are members of :class:`MessageQuery`.

        :raises MessageInvalid: if session id, sender or sender name would become empty.
        """
        for name in ("session_id", "sender", "sender_name"):
            if getattr(changes, name) == "":
                raise MessageInvalid(f"A message cannot be stored without {name}.")
        # A plugin may modify the changes, so pass a copy.
        own = dataclasses.replace(changes)
        return _answered(self._operations.update_messages(self._query(query), own), "update_messages")

    def delete(self, **query: Any) -> int:
        """Remove messages and return their number. The arguments are members of :class:`MessageQuery`."""
        return _answered(self._operations.delete_messages(self._query(query)), "delete_messages")

    def sessions(self, **query: Any) -> list[SessionSummary]:
        """Return sessions, latest activity first. The arguments are members of :class:`SessionQuery`."""
        query["owner"] = self.owner
        return _answered(self._operations.list_sessions(SessionQuery(**query)), "list_sessions")

    def _query(self, members: dict[str, Any]) -> MessageQuery:
        members["owner"] = self.owner
        return MessageQuery(**members)


class Memory:
    """The memory backend chosen by the settings. Pass on only handles from :meth:`for_owner`."""

    def __init__(self, operations: MemoryOperations, *, backend: MemoryBackend, name: str) -> None:
        self.operations = operations
        self.backend = backend
        self.name = name

    def for_owner(self, owner: Owner) -> OwnerMemory:
        """Return a handle bound to one owner."""
        return OwnerMemory(self.operations, owner)

    @property
    def session_lock(self) -> SessionLock | None:
        """The operation ``session_lock`` with its plugins; None if the backend has no lock."""
        offered = self.backend.locks and type(self.backend).session_lock is not MemoryBackend.session_lock
        return self.operations.session_lock if offered else None

    def close(self) -> None:
        """Release the store."""
        self.operations.close()


def _answered(answer: T | None, operation: str) -> T:
    """Check that a plugin that wraps an operation has returned its result."""
    if answer is None:
        raise MemoryFailed(
            f"No memory backend answered {operation}: the backend, or a plugin that wraps it, returned nothing."
        )
    return answer


MemoryFactory = Callable[..., MemoryBackend]
SessionLock = Callable[[str, str, float], AbstractContextManager[bool] | None]
