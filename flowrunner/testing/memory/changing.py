"""Edits, renames, merges and deletions."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

import pytest

from flowrunner.memory import MemoryBackend
from flowrunner.memory.message import make_properties
from flowrunner.memory.query import EVERY_OWNER, MessageChanges, MessageQuery, SessionQuery
from flowrunner.testing.memory.opening import BackendTests
from flowrunner.testing.memory.promises import since
from flowrunner.testing.memory.samples import (
    ANN,
    BOB,
    NOON,
    append_texts,
    fetch_texts,
    make_full_message,
    make_message,
)

CHANGES: tuple[tuple[str, Any], ...] = (
    ("text", "new"),
    ("text", ""),
    ("sender", "Tool"),
    ("sender_name", "Nobody"),
    ("context_id", "elsewhere"),
    ("context_id", ""),
    ("files", ("x.png",)),
    ("files", ()),
    ("edit", False),
    ("error", False),
    ("properties", make_properties(edited=True, positive_feedback=True)),
    ("properties", {}),
    ("properties", {"of": ["another", {"kind": None}]}),
    ("content_blocks", ()),
    ("content_blocks", ({"title": "t", "contents": []},)),
    ("category", "message"),
    ("duration", 0.0),
    ("session_metadata", {}),
    ("session_metadata", {"other": 1}),
    ("session_id", "moved"),
)

#: From which session to which, and what is there afterwards in which order.
MOVES: dict[str, tuple[tuple[str, str], list[str]]] = {
    "rename": (("left", "new"), ["0", "3", "6"]),
    "merge": (("left", "right"), ["7", "6", "4", "3", "1", "0"]),
    "merge backward": (("right", "left"), ["7", "6", "4", "3", "1", "0"]),
    "into itself": (("left", "left"), ["0", "3", "6"]),
}


class EditTests(BackendTests):
    """An update changes what the query means, and nothing else."""

    group = "edits and deletions"
    mistakes: ClassVar[tuple[str, ...]] = (
        "An edit that moves the message to the end.",
        "An edit that merges JSON instead of replacing it, or resets fields that were not named.",
        "A deleted id that stays taken.",
    )

    def test_each_field_can_be_changed_alone(self, backend: MemoryBackend) -> None:
        """What an update may change in a message; None leaves a field as it is."""
        for case, (name, value) in enumerate(CHANGES):
            owner = f"owner {case}"
            before, other = make_full_message(owner=owner), make_full_message(owner=owner)
            backend.append_messages([before, other])
            query = MessageQuery(owner=owner, ids=(before.id or "",))
            after = backend.update_messages(query, MessageChanges(**{name: value}))
            assert after == [before.replace(**{name: value})], (name, value)
            assert backend.fetch_messages(MessageQuery(owner=owner)) == [*after, other], (name, value)

    def test_an_edit_keeps_the_place(self, backend: MemoryBackend) -> None:
        """*Order* is the order of append, never the clock."""
        stored = append_texts(backend, *"abc")
        backend.update_messages(MessageQuery(owner=ANN, ids=(stored[0].id or "",)), MessageChanges(text="A"))
        assert fetch_texts(backend) == ["A", "b", "c"]
        assert fetch_texts(backend, limit=1) == ["c"]

    def test_an_edit_reaches_all_that_the_query_means(self, backend: MemoryBackend) -> None:
        """``update_messages`` changes all messages that the query means and returns the changed messages, oldest
        first; if there are none, the list is empty.
        """
        append_texts(backend, "a", "b", sender="User")
        append_texts(backend, "c", sender="Machine")
        changed = backend.update_messages(MessageQuery(owner=ANN, sender="User"), MessageChanges(sender_name="Ann"))
        assert [message.text for message in changed] == ["a", "b"]
        assert fetch_texts(backend, sender_name="Ann") == ["a", "b"]

    def test_an_edit_counts_the_window_as_a_fetch_does(self, backend: MemoryBackend) -> None:
        """``update_messages`` changes all messages that the query means and returns the changed messages, oldest
        first; if there are none, the list is empty.
        """
        append_texts(backend, *"abcd")
        changed = backend.update_messages(MessageQuery(owner=ANN, limit=2, offset=1), MessageChanges(sender="X"))
        assert [message.text for message in changed] == ["b", "c"]

    def test_changes_that_change_nothing_return_what_is_there(self, backend: MemoryBackend) -> None:
        """``update_messages`` changes all messages that the query means and returns the changed messages, oldest
        first; if there are none, the list is empty.
        """
        stored = append_texts(backend, "a", "b")
        assert backend.update_messages(MessageQuery(owner=ANN), MessageChanges()) == stored
        assert backend.fetch_messages(MessageQuery(owner=ANN)) == stored

    def test_nothing_meant_is_nothing_changed(self, backend: MemoryBackend) -> None:
        """``update_messages`` changes all messages that the query means and returns the changed messages, oldest
        first; if there are none, the list is empty.
        """
        append_texts(backend, "a")
        query = MessageQuery(owner=ANN, ids=("unknown",))
        assert backend.update_messages(query, MessageChanges(text="b")) == []
        assert backend.update_messages(query, MessageChanges(session_id="b")) == []
        assert backend.delete_messages(query) == 0
        assert fetch_texts(backend) == ["a"]

    def test_deletion_removes_what_the_query_means_and_says_how_many(self, backend: MemoryBackend) -> None:
        """``delete_messages`` removes the messages that the query means and returns their number."""
        stored = append_texts(backend, *"abcdef")
        assert backend.delete_messages(MessageQuery(owner=ANN, ids=(stored[1].id or "", "unknown"))) == 1
        assert backend.delete_messages(MessageQuery(owner=ANN, limit=2)) == 2
        assert fetch_texts(backend) == ["a", "c", "d"]
        assert backend.delete_messages(MessageQuery(owner=ANN, session_id="talk")) == 3
        assert fetch_texts(backend) == []

    def test_a_deleted_message_is_gone_and_its_id_is_free(self, backend: MemoryBackend) -> None:
        """Their ids may be appended again."""
        (stored,) = append_texts(backend, "a")
        backend.delete_messages(MessageQuery(owner=ANN, session_id="talk"))
        assert fetch_texts(backend, ids=(stored.id,)) == []
        append_texts(backend, "between")
        backend.append_messages([stored])
        assert fetch_texts(backend) == ["between", "a"]


class MoveTests(BackendTests):
    """Renaming and merging sessions, in one verb."""

    group = "renames and merges"
    mistakes: ClassVar[tuple[str, ...]] = (
        "A merge that appends one session to the other.",
        "A rename that sorts by time.",
        "A merge that moves the messages of other sessions.",
        "A move over every owner that merges sessions of different owners.",
    )

    def test_a_rename_moves_all_and_keeps_the_order(self, backend: MemoryBackend) -> None:
        """A session that had no messages gets them in the order they had; a session that had some is sorted by
        timestamp, and by order of append where timestamps are equal.
        """
        for n in range(4):
            append_texts(backend, str(n), session_id="old", timestamp=NOON - timedelta(hours=n))
        moved = backend.update_messages(MessageQuery(owner=ANN, session_id="old"), MessageChanges(session_id="new"))
        assert [(message.text, message.session_id) for message in moved] == [(str(n), "new") for n in range(4)]
        assert fetch_texts(backend, session_id="new") == ["0", "1", "2", "3"]
        assert fetch_texts(backend, session_id="old") == []

    def test_a_merge_is_ordered_by_time(self, backend: MemoryBackend) -> None:
        """A session that had no messages gets them in the order they had; a session that had some is sorted by
        timestamp, and by order of append where timestamps are equal.
        """
        for text, minute in (("c", 3), ("a", 1)):
            append_texts(backend, text, session_id="left", timestamp=NOON + timedelta(minutes=minute))
        for text, minute in (("d", 4), ("b", 2)):
            append_texts(backend, text, session_id="right", timestamp=NOON + timedelta(minutes=minute))
        query = MessageQuery(owner=ANN, session_id="right")
        moved = backend.update_messages(query, MessageChanges(session_id="left"))
        assert [message.text for message in moved] == ["b", "d"]
        assert fetch_texts(backend, session_id="left") == ["a", "b", "c", "d"]
        assert fetch_texts(backend, session_id="left", limit=2) == ["c", "d"]

    def test_equal_times_keep_the_order_of_append(self, backend: MemoryBackend) -> None:
        """A session that had no messages gets them in the order they had; a session that had some is sorted by
        timestamp, and by order of append where timestamps are equal.
        """
        for n in range(6):
            append_texts(backend, str(n), session_id=("left", "right")[n % 2], timestamp=NOON)
        backend.update_messages(MessageQuery(owner=ANN, session_id="right"), MessageChanges(session_id="left"))
        assert fetch_texts(backend, session_id="left") == [str(n) for n in range(6)]

    def test_what_comes_after_a_merge_stands_last(self, backend: MemoryBackend) -> None:
        """*Order* is the order of append, never the clock."""
        append_texts(backend, "late", session_id="left", timestamp=NOON + timedelta(days=1))
        append_texts(backend, "early", session_id="right", timestamp=NOON)
        backend.update_messages(MessageQuery(owner=ANN, session_id="right"), MessageChanges(session_id="left"))
        append_texts(backend, "new", session_id="left", timestamp=NOON - timedelta(days=1))
        assert fetch_texts(backend, session_id="left") == ["early", "late", "new"]
        assert fetch_texts(backend, session_id="left", limit=1) == ["new"]

    def test_other_sessions_keep_their_order_and_their_place(self, backend: MemoryBackend) -> None:
        """The merged messages keep the positions in the overall order that they had as a group; every other session
        is unchanged.
        """
        for n in range(9):
            session = ("left", "bystander", "right")[n % 3]
            append_texts(backend, str(n), session_id=session, timestamp=NOON - timedelta(minutes=n))
        backend.update_messages(MessageQuery(owner=ANN, session_id="right"), MessageChanges(session_id="left"))
        assert fetch_texts(backend, session_id="bystander") == ["1", "4", "7"]
        assert fetch_texts(backend, session_id="left") == ["8", "6", "5", "3", "2", "0"]
        # The merged messages share the places that they had: 0, 2, 3, 5, 6 and 8.
        assert fetch_texts(backend) == ["8", "1", "6", "5", "4", "3", "2", "7", "0"]

    def test_single_messages_can_move(self, backend: MemoryBackend) -> None:
        """with ``changes.session_id`` the messages that are not there yet move to that session of their owner."""
        stored = append_texts(backend, *"abcd", session_id="left")
        ids = (stored[1].id or "", stored[2].id or "")
        backend.update_messages(MessageQuery(owner=ANN, ids=ids), MessageChanges(session_id="right"))
        assert fetch_texts(backend, session_id="left") == ["a", "d"]
        assert fetch_texts(backend, session_id="right") == ["b", "c"]
        backend.update_messages(MessageQuery(owner=ANN, ids=ids[:1]), MessageChanges(session_id="left"))
        assert fetch_texts(backend, session_id="left") == ["a", "b", "d"]

    def test_several_sessions_can_merge_into_one(self, backend: MemoryBackend) -> None:
        """A session that had no messages gets them in the order they had; a session that had some is sorted by
        timestamp, and by order of append where timestamps are equal.
        """
        for n in range(9):
            append_texts(backend, str(n), session_id=f"s{n % 3}", timestamp=NOON + timedelta(minutes=n))
        backend.update_messages(MessageQuery(owner=ANN), MessageChanges(session_id="s1"))
        assert fetch_texts(backend, session_id="s1") == [str(n) for n in range(9)]
        assert [s.session_id for s in backend.list_sessions(SessionQuery(owner=ANN))] == ["s1"]

    def test_moving_to_where_it_is_changes_nothing(self, backend: MemoryBackend) -> None:
        """with ``changes.session_id`` the messages that are not there yet move to that session of their owner."""
        for n in range(3):
            append_texts(backend, str(n), timestamp=NOON - timedelta(minutes=n))
        query = MessageQuery(owner=ANN, session_id="talk")
        moved = backend.update_messages(query, MessageChanges(session_id="talk"))
        assert [message.text for message in moved] == ["0", "1", "2"]
        assert fetch_texts(backend, session_id="talk") == ["0", "1", "2"]

    def test_a_move_can_edit_at_once(self, backend: MemoryBackend) -> None:
        """``update_messages`` changes all messages that the query means and returns the changed messages, oldest
        first; if there are none, the list is empty.
        """
        append_texts(backend, "a", session_id="left", timestamp=NOON)
        append_texts(backend, "b", session_id="right", timestamp=NOON - timedelta(minutes=1))
        changes = MessageChanges(session_id="left", sender_name="Moved", text="B")
        backend.update_messages(MessageQuery(owner=ANN, session_id="right"), changes)
        assert fetch_texts(backend, session_id="left") == ["B", "a"]
        assert fetch_texts(backend, sender_name="Moved") == ["B"]
        assert fetch_texts(backend, text="b") == ["B"]

    def test_a_move_stays_with_the_owner(self, backend: MemoryBackend) -> None:
        """with ``changes.session_id`` the messages that are not there yet move to that session of their owner."""
        append_texts(backend, "mine", session_id="left")
        append_texts(backend, "theirs", session_id="left", owner=BOB)
        append_texts(backend, "their target", session_id="right", owner=BOB)
        backend.update_messages(MessageQuery(owner=ANN, session_id="left"), MessageChanges(session_id="right"))
        assert fetch_texts(backend, session_id="right") == ["mine"]
        assert fetch_texts(backend, BOB, session_id="left") == ["theirs"]
        assert fetch_texts(backend, BOB, session_id="right") == ["their target"]

    def test_a_move_for_every_owner_keeps_owners_apart(self, backend: MemoryBackend) -> None:
        """with ``changes.session_id`` the messages that are not there yet move to that session of their owner."""
        for owner in (ANN, BOB):
            append_texts(backend, f"{owner} 2", session_id="left", owner=owner, timestamp=NOON + timedelta(minutes=2))
            append_texts(backend, f"{owner} 1", session_id="right", owner=owner, timestamp=NOON + timedelta(minutes=1))
        query = MessageQuery(owner=EVERY_OWNER, session_id="right")
        backend.update_messages(query, MessageChanges(session_id="left"))
        assert fetch_texts(backend, session_id="left") == ["ann 1", "ann 2"]
        assert fetch_texts(backend, BOB, session_id="left") == ["bob 1", "bob 2"]

    def test_cursors_survive_a_merge(self, backend: MemoryBackend) -> None:
        """The merged messages keep the positions in the overall order that they had as a group; every other session
        is unchanged.
        """
        left = append_texts(backend, "a", "c", session_id="left", timestamp=NOON)
        append_texts(backend, "b", session_id="right", timestamp=NOON - timedelta(minutes=1))
        backend.update_messages(MessageQuery(owner=ANN, session_id="right"), MessageChanges(session_id="left"))
        assert fetch_texts(backend, session_id="left", before=left[1].id) == ["b", "a"]
        assert fetch_texts(backend, session_id="left", after=left[0].id) == ["c"]

    def test_a_large_merge_is_whole(self, backend: MemoryBackend) -> None:
        """A session that had no messages gets them in the order they had; a session that had some is sorted by
        timestamp, and by order of append where timestamps are equal.
        """
        for session in ("left", "right"):
            backend.append_messages(
                [
                    make_message(f"{n:04}", session, timestamp=NOON + timedelta(seconds=2 * n + (session == "right")))
                    for n in range(1000)
                ]
            )
        backend.update_messages(MessageQuery(owner=ANN, session_id="right"), MessageChanges(session_id="left"))
        assert fetch_texts(backend, session_id="left") == [f"{n // 2:04}" for n in range(2000)]

    @since(2)
    @pytest.mark.parametrize("move", MOVES)
    def test_windows_are_counted_anew_after_a_move(self, backend: MemoryBackend, move: str) -> None:
        """A session that had no messages gets them in the order they had; a session that had some is sorted by
        timestamp, and by order of append where timestamps are equal.
        """
        for n in range(8):
            session = ("left", "right", "bystander")[n % 3]
            append_texts(backend, str(n), id=str(n), session_id=session, timestamp=NOON - timedelta(minutes=n))
        (here, there), expected = MOVES[move]
        # Asked before, so that whatever the backend would remember of places and windows, it remembers.
        assert fetch_texts(backend, session_id="left", limit=2) == ["3", "6"]
        backend.update_messages(MessageQuery(owner=ANN, session_id=here), MessageChanges(session_id=there))
        assert fetch_texts(backend, session_id=there) == expected
        size = len(expected)
        for n in range(size + 1):
            assert fetch_texts(backend, session_id=there, limit=n) == expected[size - n :]
            assert fetch_texts(backend, session_id=there, offset=n) == expected[: size - n]
        for place, cursor in enumerate(expected):
            assert fetch_texts(backend, session_id=there, before=cursor) == expected[:place]
            assert fetch_texts(backend, session_id=there, before=cursor, limit=1) == expected[:place][-1:]
            assert fetch_texts(backend, session_id=there, after=cursor, limit=2) == expected[place + 1 : place + 3]
