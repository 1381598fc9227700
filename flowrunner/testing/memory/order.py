"""Order of append, windows and cursors."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

import pytest

from flowrunner.errors import NotFound
from flowrunner.memory import MemoryBackend
from flowrunner.memory.message import new_id
from flowrunner.memory.query import EVERY_OWNER, MessageChanges, MessageQuery
from flowrunner.testing.memory.opening import BackendTests
from flowrunner.testing.memory.promises import since
from flowrunner.testing.memory.samples import ANN, BOB, NOON, append_texts, fetch_texts, make_message


class OrderTests(BackendTests):
    """Messages come back in the order in which they were appended."""

    group = "order"
    mistakes: ClassVar[tuple[str, ...]] = (
        "Sorting by timestamp, or by an id that is random.",
        "Sequence numbers that are assigned before the write is visible to others.",
        "Keeping order within a session only, although a query may reach several.",
    )

    def test_an_empty_store_answers_with_nothing(self, backend: MemoryBackend) -> None:
        """``fetch_messages`` returns what the query means, **oldest first**."""
        assert backend.fetch_messages(MessageQuery(owner=ANN)) == []
        assert backend.delete_messages(MessageQuery(owner=ANN)) == 0

    def test_messages_come_back_oldest_first(self, backend: MemoryBackend) -> None:
        """``fetch_messages`` returns what the query means, **oldest first**."""
        append_texts(backend, "one", "two", "three")
        assert fetch_texts(backend, session_id="talk") == ["one", "two", "three"]

    def test_messages_of_one_call_keep_their_order(self, backend: MemoryBackend) -> None:
        """``append_messages`` takes messages of one owner and one session, stores all or none, keeps their order, and
        returns them as stored."""
        backend.append_messages([make_message(str(n)) for n in range(50)])
        assert fetch_texts(backend, session_id="talk") == [str(n) for n in range(50)]

    def test_the_clock_does_not_decide_order(self, backend: MemoryBackend) -> None:
        """*Order* is the order of append, never the clock."""
        for n in range(4):
            append_texts(backend, str(n), timestamp=NOON - timedelta(hours=n))
        assert fetch_texts(backend, session_id="talk") == ["0", "1", "2", "3"]

    def test_ids_do_not_decide_order(self, backend: MemoryBackend) -> None:
        """*Order* is the order of append, never the clock."""
        for name in ("c", "a", "b"):
            append_texts(backend, name, id=f"{name}-{new_id()}")
        assert fetch_texts(backend, session_id="talk") == ["c", "a", "b"]

    def test_sessions_share_one_order(self, backend: MemoryBackend) -> None:
        """*Order* is the order of append, never the clock."""
        for n in range(6):
            append_texts(backend, str(n), session_id=f"talk {n % 3}", timestamp=NOON)
        assert fetch_texts(backend) == [str(n) for n in range(6)]

    def test_append_returns_what_it_stored(self, backend: MemoryBackend) -> None:
        """``append_messages`` takes messages of one owner and one session, stores all or none, keeps their order, and
        returns them as stored."""
        messages = [make_message("one"), make_message("two")]
        assert backend.append_messages(messages) == messages
        assert backend.append_messages([]) == []
        assert backend.fetch_messages(MessageQuery(owner=ANN)) == messages


class WindowTests(BackendTests):
    """``limit`` keeps the newest, cursors keep their place."""

    group = "windows and cursors"
    mistakes: ClassVar[tuple[str, ...]] = (
        "``limit`` that keeps the oldest, or is counted before the filters.",
        "A cursor that is included in its page, or that is ignored when its message is gone.",
        "A cursor looked up within the session only, or without checking its owner.",
    )

    def test_limit_keeps_the_newest(self, backend: MemoryBackend) -> None:
        """``limit`` keeps the newest N (after ``offset``); with the cursor ``after`` the oldest N."""
        append_texts(backend, *"abcde")
        assert fetch_texts(backend, session_id="talk", limit=2) == ["d", "e"]
        assert fetch_texts(backend, limit=3) == ["c", "d", "e"]

    def test_limit_beyond_the_end_keeps_all(self, backend: MemoryBackend) -> None:
        """``limit`` keeps the newest N (after ``offset``); with the cursor ``after`` the oldest N."""
        append_texts(backend, *"ab")
        assert fetch_texts(backend, limit=9) == ["a", "b"]
        assert fetch_texts(backend, limit=0) == []

    def test_offset_skips_the_newest(self, backend: MemoryBackend) -> None:
        """``limit`` keeps the newest N messages after skipping the newest ``offset``, by order of append and after
        all other filters; None keeps all.
        """
        append_texts(backend, *"abcde")
        assert fetch_texts(backend, offset=1, limit=2) == ["c", "d"]
        assert fetch_texts(backend, offset=4) == ["a"]
        assert fetch_texts(backend, offset=9, limit=2) == []

    def test_the_window_is_counted_after_the_filters(self, backend: MemoryBackend) -> None:
        """``limit`` keeps the newest N messages after skipping the newest ``offset``, by order of append and after
        all other filters; None keeps all.
        """
        for n in range(12):
            append_texts(backend, str(n), sender="User" if n % 4 == 0 else "Machine")
        assert fetch_texts(backend, sender="User", limit=2) == ["4", "8"]
        assert fetch_texts(backend, sender="User", limit=1, offset=1) == ["4"]

    def test_the_window_is_counted_by_append_and_not_by_the_clock(self, backend: MemoryBackend) -> None:
        """``limit`` keeps the newest N messages after skipping the newest ``offset``, by order of append and after
        all other filters; None keeps all.
        """
        for n in range(4):
            append_texts(backend, str(n), timestamp=NOON - timedelta(hours=n))
        assert fetch_texts(backend, limit=2) == ["2", "3"]

    def test_before_pages_backward(self, backend: MemoryBackend) -> None:
        """``before`` and ``after`` are ids of messages (cursors): only messages appended before, or after, that one."""
        stored = append_texts(backend, *"abcdefg")
        assert fetch_texts(backend, before=stored[5].id, limit=2) == ["d", "e"]
        assert fetch_texts(backend, before=stored[1].id, limit=2) == ["a"]
        assert fetch_texts(backend, before=stored[5].id, limit=2, offset=1) == ["c", "d"]
        assert fetch_texts(backend, before=stored[0].id) == []

    def test_after_pages_forward(self, backend: MemoryBackend) -> None:
        """With ``after``, offset and limit count from the *oldest*, so that a reader can page forward."""
        stored = append_texts(backend, *"abcdefg")
        assert fetch_texts(backend, after=stored[1].id, limit=2) == ["c", "d"]
        assert fetch_texts(backend, after=stored[1].id, limit=2, offset=1) == ["d", "e"]
        assert fetch_texts(backend, after=stored[4].id) == ["f", "g"]
        assert fetch_texts(backend, after=stored[6].id, limit=2) == []

    def test_both_cursors_bound_a_range(self, backend: MemoryBackend) -> None:
        """``before`` and ``after`` are ids of messages (cursors): only messages appended before, or after, that one."""
        stored = append_texts(backend, *"abcdefg")
        between: dict[str, Any] = {"after": stored[1].id, "before": stored[5].id}
        assert fetch_texts(backend, **between) == ["c", "d", "e"]
        assert fetch_texts(backend, **between, limit=2) == ["c", "d"]

    def test_a_cursor_may_be_of_another_session(self, backend: MemoryBackend) -> None:
        """A cursor may be any message of the owner, in any session; if it does not exist or belongs to another owner,
        the operation raises :class:`~flowrunner.NotFound`.
        """
        append_texts(backend, "a")
        (cursor,) = append_texts(backend, "x", session_id="other")
        append_texts(backend, "b")
        assert fetch_texts(backend, session_id="talk", after=cursor.id) == ["b"]
        assert fetch_texts(backend, session_id="talk", before=cursor.id) == ["a"]

    def test_a_page_stays_where_it_is_while_others_come_and_go(self, backend: MemoryBackend) -> None:
        """Cursors are message ids, so a page stays where it is while others insert or delete."""
        stored = append_texts(backend, *"abcdef")
        assert fetch_texts(backend, session_id="talk", limit=2) == ["e", "f"]
        append_texts(backend, "g", "h")
        backend.delete_messages(MessageQuery(owner=ANN, ids=(stored[1].id or "", stored[5].id or "")))
        assert fetch_texts(backend, session_id="talk", before=stored[4].id, limit=2) == ["c", "d"]
        assert fetch_texts(backend, session_id="talk", after=stored[4].id) == ["g", "h"]

    def test_a_cursor_that_is_gone_is_an_error(self, backend: MemoryBackend) -> None:
        """A cursor may be any message of the owner, in any session; if it does not exist or belongs to another owner,
        the operation raises :class:`~flowrunner.NotFound`.
        """
        stored = append_texts(backend, *"abc")
        backend.delete_messages(MessageQuery(owner=ANN, ids=(stored[1].id or "",)))
        for cursor in (stored[1].id, "never there"):
            for side in ("before", "after"):
                with pytest.raises(NotFound):
                    fetch_texts(backend, **_one(side, cursor))

    def test_a_cursor_of_another_owner_is_as_good_as_gone(self, backend: MemoryBackend) -> None:
        """A cursor may be any message of the owner, in any session; if it does not exist or belongs to another owner,
        the operation raises :class:`~flowrunner.NotFound`.
        """
        append_texts(backend, "mine")
        (theirs,) = append_texts(backend, "theirs", owner=BOB)
        for side in ("before", "after"):
            with pytest.raises(NotFound):
                fetch_texts(backend, **_one(side, theirs.id))
        assert fetch_texts(backend, EVERY_OWNER, before=theirs.id) == ["mine"]

    @since(2)
    @pytest.mark.parametrize("cursor", ["never there", "deleted", "foreign"])
    @pytest.mark.parametrize("side", ["before", "after"])
    def test_a_cursor_that_is_gone_is_an_error_also_where_nothing_is_wanted(
        self, backend: MemoryBackend, side: str, cursor: str
    ) -> None:
        """A cursor may be any message of the owner, in any session; if it does not exist or belongs to another owner,
        the operation raises :class:`~flowrunner.NotFound`.
        """
        for name, owner in (("there", ANN), ("deleted", ANN), ("foreign", BOB)):
            append_texts(backend, name, id=name, owner=owner)
        backend.delete_messages(MessageQuery(owner=ANN, ids=("deleted",)))
        nothing = MessageQuery(owner=ANN, limit=0).replace(**{side: cursor})
        for query in (nothing, nothing.replace(limit=1, offset=5), nothing.replace(session_id="none")):
            with pytest.raises(NotFound):
                backend.fetch_messages(query)
            with pytest.raises(NotFound):
                backend.update_messages(query, MessageChanges(text="changed"))
            with pytest.raises(NotFound):
                backend.delete_messages(query)
            assert fetch_texts(backend, **_one(side, "there"), limit=0) == []
        assert fetch_texts(backend, EVERY_OWNER) == ["there", "foreign"]


def _one(side: str, cursor: str | None) -> dict[str, Any]:
    return {side: cursor}
