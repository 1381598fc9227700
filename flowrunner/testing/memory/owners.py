"""Two owners in one store, who never meet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from flowrunner.memory import MemoryBackend, OwnerMemory
from flowrunner.memory.query import EVERY_OWNER, MessageChanges, MessageQuery, SessionQuery, SessionSummary
from flowrunner.testing.memory.listing import list_ids
from flowrunner.testing.memory.opening import BackendTests
from flowrunner.testing.memory.samples import ANN, BOB, NOON, append_texts, fetch_texts

#: Every way to mean messages; each would reach Bob's if the owner did not count.
REACHES: dict[str, Callable[[Any], dict[str, Any]]] = {
    "everything": lambda theirs: {},
    "session": lambda theirs: {"session_id": "talk"},
    "flow": lambda theirs: {"flow_id": "f"},
    "context": lambda theirs: {"context_id": "c"},
    "sender": lambda theirs: {"sender": "User"},
    "ids": lambda theirs: {"ids": (theirs.id,)},
    "run": lambda theirs: {"run_id": "r"},
    "words": lambda theirs: {"text": "same"},
    "time": lambda theirs: {"since": NOON},
    "window": lambda theirs: {"limit": 10, "session_id": "talk"},
    "ids of both and a session": lambda theirs: {"ids": (theirs.id, "x"), "session_id": "talk"},
}


class OwnerTests(BackendTests):
    """The same session id of two owners is two sessions, for every operation."""

    group = "owners"
    mistakes: ClassVar[tuple[str, ...]] = (
        "A lookup by id that ignores the owner.",
        "Keys made of owner and session with a separator that both may contain.",
        "A list of sessions that includes those of other owners.",
    )

    def store_both(self, backend: MemoryBackend) -> tuple[Any, Any]:
        """Store a message of each owner, alike in everything but owner and id."""
        fields: dict[str, Any] = {"flow_id": "f", "context_id": "c", "run_id": "r", "timestamp": NOON}
        (mine,) = append_texts(backend, "same", owner=ANN, **fields)
        (theirs,) = append_texts(backend, "same", owner=BOB, **fields)
        return mine, theirs

    def test_fetching_reaches_the_owners_messages_only(self, backend: MemoryBackend) -> None:
        """A query reaches only messages of its owner; :data:`EVERY_OWNER` reaches all."""
        mine, theirs = self.store_both(backend)
        for way, members in REACHES.items():
            found = backend.fetch_messages(MessageQuery(owner=ANN, **members(theirs)))
            assert found == ([] if "ids" in way else [mine]), way

    def test_updating_reaches_the_owners_messages_only(self, backend: MemoryBackend) -> None:
        """A query reaches only messages of its owner; :data:`EVERY_OWNER` reaches all."""
        _, theirs = self.store_both(backend)
        for way, members in REACHES.items():
            query = MessageQuery(owner=ANN, **members(theirs))
            for changes in (MessageChanges(text="changed"), MessageChanges(session_id="moved")):
                backend.update_messages(query, changes)
            assert backend.fetch_messages(MessageQuery(owner=BOB)) == [theirs], way

    def test_deleting_reaches_the_owners_messages_only(self, backend: MemoryBackend) -> None:
        """A query reaches only messages of its owner; :data:`EVERY_OWNER` reaches all."""
        for way, members in REACHES.items():
            _, theirs = self.store_both(backend)
            number = backend.delete_messages(MessageQuery(owner=ANN, **members(theirs)))
            assert number == (0 if "ids" in way else 1), way
            assert backend.fetch_messages(MessageQuery(owner=BOB)) == [theirs], way
            backend.delete_messages(MessageQuery(owner=EVERY_OWNER))

    def test_listing_reaches_the_owners_sessions_only(self, backend: MemoryBackend) -> None:
        """A query reaches only messages of its owner; :data:`EVERY_OWNER` reaches all."""
        self.store_both(backend)
        append_texts(backend, "x", owner=BOB, session_id="secret", flow_id="f")
        assert list_ids(backend) == list_ids(backend, flow_id="f") == ["talk"]
        assert list_ids(backend, session_id="secret") == list_ids(backend, contains="secret") == []
        assert [summary.count for summary in _summaries(backend)] == [1]

    def test_every_owner_reaches_all(self, backend: MemoryBackend) -> None:
        """A query reaches only messages of its owner; :data:`EVERY_OWNER` reaches all."""
        mine, theirs = self.store_both(backend)
        assert backend.fetch_messages(MessageQuery(owner=EVERY_OWNER)) == [mine, theirs]
        assert backend.fetch_messages(MessageQuery(owner=EVERY_OWNER, session_id="talk")) == [mine, theirs]
        assert backend.delete_messages(MessageQuery(owner=EVERY_OWNER, session_id="talk")) == 2

    def test_owners_that_look_alike_are_different(self, backend: MemoryBackend) -> None:
        """The same session id of two owners is two sessions."""
        owners = ["ann", "Ann", "ann ", "an", "ann\0", "%", "_nn", "EVERY_OWNER", "*"]
        for owner in owners:
            append_texts(backend, f"of {owner}", owner=owner)
        for owner in owners:
            assert fetch_texts(backend, owner, session_id="talk") == [f"of {owner}"]

    def test_owner_and_session_never_run_together(self, backend: MemoryBackend) -> None:
        """The same session id of two owners is two sessions."""
        append_texts(backend, "one", owner="a", session_id="b/c")
        append_texts(backend, "two", owner="a/b", session_id="c")
        append_texts(backend, "three", owner="a\0b", session_id="c")
        append_texts(backend, "four", owner="a", session_id="b\0c")
        assert fetch_texts(backend, "a", session_id="b/c") == ["one"]
        assert fetch_texts(backend, "a/b", session_id="c") == ["two"]
        assert fetch_texts(backend, "a\0b", session_id="c") == ["three"]
        assert fetch_texts(backend, "a", session_id="b\0c") == ["four"]

    def test_a_handle_of_an_owner_works_on_it(self, backend: MemoryBackend) -> None:
        """A message is stored under its ``owner`` field."""
        handle = OwnerMemory(backend, ANN)
        self.store_both(backend)
        assert [message.owner for message in handle.fetch()] == [ANN]
        assert handle.delete(session_id="talk") == 1
        assert fetch_texts(backend, BOB) == ["same"]


def _summaries(backend: MemoryBackend) -> list[SessionSummary]:
    return backend.list_sessions(SessionQuery(owner=ANN, session_id="talk"))
