"""The list of sessions."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

import pytest

from flowrunner.errors import NotFound
from flowrunner.memory import MemoryBackend
from flowrunner.memory.query import EVERY_OWNER, MessageChanges, MessageQuery, Owner, SessionQuery, SessionSummary
from flowrunner.testing.memory.opening import BackendTests
from flowrunner.testing.memory.promises import since
from flowrunner.testing.memory.samples import ANN, AWKWARD_IDS, BOB, NOON, append_texts, make_message


def list_ids(backend: MemoryBackend, owner: Owner = ANN, **query: Any) -> list[str]:
    """Return the ids of the sessions that a query means."""
    return [summary.session_id for summary in backend.list_sessions(SessionQuery(owner=owner, **query))]


class ListTests(BackendTests):
    """A summary per session, latest activity first."""

    group = "list of sessions"
    mistakes: ClassVar[tuple[str, ...]] = (
        "Activity by timestamp instead of by append.",
        "Counts that deletions, renames and merges do not change.",
        "Pages by number, which shift when another session becomes active.",
        "``flow_id`` that selects sessions and then counts all of their messages.",
    )

    def test_a_summary_says_what_is_there(self, backend: MemoryBackend) -> None:
        """``first_at`` and ``last_at`` are the timestamps of the messages that are first and last in order of
        append."""
        moments = [NOON, NOON - timedelta(hours=1), NOON + timedelta(microseconds=1)]
        for moment, flow in zip(moments, ("g", None, "f"), strict=True):
            append_texts(backend, "x", timestamp=moment, flow_id=flow)
        assert backend.list_sessions(SessionQuery(owner=ANN)) == [
            SessionSummary(
                owner=ANN, session_id="talk", flow_ids=("f", "g"), count=3, first_at=moments[0], last_at=moments[2]
            )
        ]

    def test_the_latest_append_comes_first(self, backend: MemoryBackend) -> None:
        """``list_sessions`` returns a summary per session, latest activity first (activity = the newest append)."""
        for session in ("a", "b", "c", "a"):
            append_texts(backend, "x", session_id=session, timestamp=NOON)
        assert list_ids(backend) == ["a", "c", "b"]
        append_texts(backend, "x", session_id="b", timestamp=NOON - timedelta(days=9))
        assert list_ids(backend) == ["b", "a", "c"]

    def test_an_empty_store_lists_nothing(self, backend: MemoryBackend) -> None:
        """A session without messages does not exist."""
        assert list_ids(backend) == list_ids(backend, EVERY_OWNER) == []

    def test_pages_follow_each_other(self, backend: MemoryBackend) -> None:
        """``limit`` and ``offset`` count from the latest activity."""
        for n in range(7):
            append_texts(backend, "x", session_id=str(n))
        assert list_ids(backend, limit=3) == ["6", "5", "4"]
        assert list_ids(backend, limit=3, offset=2) == ["4", "3", "2"]
        assert list_ids(backend, limit=3, after="4") == ["3", "2", "1"]
        assert list_ids(backend, limit=3, after="4", offset=1) == ["2", "1", "0"]
        assert list_ids(backend, after="0") == []
        assert list_ids(backend, limit=0) == []

    def test_a_page_goes_on_while_others_become_active(self, backend: MemoryBackend) -> None:
        """``after`` is the last session id of the previous page: the list continues after it, even if other sessions
        became active meanwhile; if that session is gone, the operation raises :class:`~flowrunner.NotFound`.
        """
        for n in range(6):
            append_texts(backend, "x", session_id=str(n))
        assert list_ids(backend, limit=2) == ["5", "4"]
        append_texts(backend, "x", session_id="1")
        append_texts(backend, "x", session_id="new")
        assert list_ids(backend, limit=2, after="4") == ["3", "2"]

    def test_a_page_behind_what_is_gone_is_an_error(self, backend: MemoryBackend) -> None:
        """``after`` is the last session id of the previous page: the list continues after it, even if other sessions
        became active meanwhile; if that session is gone, the operation raises :class:`~flowrunner.NotFound`.
        """
        append_texts(backend, "x")
        append_texts(backend, "x", session_id="theirs", owner=BOB)
        for gone in ("never there", "theirs"):
            with pytest.raises(NotFound):
                list_ids(backend, after=gone)

    @since(2)
    @pytest.mark.parametrize("cursor", ["never there", "deleted", "foreign"])
    def test_a_page_behind_what_is_gone_is_an_error_also_where_nothing_is_wanted(
        self, backend: MemoryBackend, cursor: str
    ) -> None:
        """if that session is gone, the operation raises :class:`~flowrunner.NotFound`."""
        for name, owner in (("there", ANN), ("deleted", ANN), ("foreign", BOB)):
            append_texts(backend, "x", session_id=name, owner=owner)
        backend.delete_messages(MessageQuery(owner=ANN, session_id="deleted"))
        windows: tuple[dict[str, Any], ...] = (
            {"limit": 0},
            {"limit": 1, "offset": 5},
            {"limit": 0, "contains": "none"},
        )
        for window in windows:
            with pytest.raises(NotFound):
                list_ids(backend, after=cursor, **window)
        with pytest.raises(NotFound):
            list_ids(backend, EVERY_OWNER, after="there", after_owner=BOB, limit=0)
        assert list_ids(backend, after="there", limit=0) == []

    def test_one_flow_is_counted_alone(self, backend: MemoryBackend) -> None:
        """``flow_id`` considers only messages of that flow: sessions without any are left out, and counts, timestamps
        and activity are those of the flow's messages.
        """
        append_texts(backend, "x", session_id="a", flow_id="f", timestamp=NOON)
        append_texts(backend, "x", session_id="b", flow_id="f", timestamp=NOON)
        append_texts(backend, "x", session_id="a", flow_id="g", timestamp=NOON + timedelta(hours=1))
        append_texts(backend, "x", session_id="c", flow_id=None)
        assert list_ids(backend) == ["c", "a", "b"]
        assert list_ids(backend, flow_id="f") == ["b", "a"]
        (_, summary) = backend.list_sessions(SessionQuery(owner=ANN, flow_id="f"))
        assert (summary.count, summary.flow_ids, summary.last_at) == (1, ("f",), NOON)
        assert list_ids(backend, flow_id="f", after="b") == ["a"]
        assert list_ids(backend, flow_id="none") == []

    def test_one_session_can_be_asked_for(self, backend: MemoryBackend) -> None:
        """``list_sessions`` returns a summary per session, latest activity first (activity = the newest append)."""
        for session in ("a", "aa", "A"):
            append_texts(backend, "x", session_id=session)
        assert list_ids(backend, session_id="a") == ["a"]
        assert list_ids(backend, session_id="none") == []

    def test_ids_can_be_searched(self, backend: MemoryBackend) -> None:
        """``contains`` keeps ids that contain the text, ignoring case."""
        for n in range(300):
            append_texts(backend, "x", session_id=f"{'Straße' if n % 100 == 7 else 'path'} {n}")
        assert list_ids(backend, contains="STRASSE") == ["Straße 207", "Straße 107", "Straße 7"]
        assert list_ids(backend, contains="strasse", limit=1, offset=1) == ["Straße 107"]
        assert list_ids(backend, contains="strasse", after="Straße 207") == ["Straße 107", "Straße 7"]
        assert list_ids(backend, contains="%") == []
        assert len(list_ids(backend, contains="path")) == 297

    def test_deletions_show(self, backend: MemoryBackend) -> None:
        """A session without messages does not exist."""
        first = append_texts(backend, "1", "2", session_id="a", timestamp=NOON, flow_id="f")
        append_texts(backend, "3", session_id="b")
        last = append_texts(backend, "4", session_id="a", timestamp=NOON + timedelta(hours=1), flow_id="g")
        assert list_ids(backend) == ["a", "b"]
        backend.delete_messages(MessageQuery(owner=ANN, ids=(last[0].id or "",)))
        assert list_ids(backend) == ["b", "a"]
        (summary,) = backend.list_sessions(SessionQuery(owner=ANN, session_id="a"))
        assert (summary.count, summary.flow_ids, summary.last_at) == (2, ("f",), NOON)
        backend.delete_messages(MessageQuery(owner=ANN, ids=tuple(m.id or "" for m in first)))
        assert list_ids(backend) == ["b"]

    def test_renames_and_merges_show(self, backend: MemoryBackend) -> None:
        """A session that had no messages gets them in the order they had; a session that had some is sorted by
        timestamp, and by order of append where timestamps are equal.
        """
        append_texts(backend, "1", session_id="a", timestamp=NOON + timedelta(hours=2), flow_id="f")
        append_texts(backend, "2", session_id="b", timestamp=NOON, flow_id="g")
        append_texts(backend, "3", session_id="c", timestamp=NOON)
        backend.update_messages(MessageQuery(owner=ANN, session_id="b"), MessageChanges(session_id="a"))
        assert list_ids(backend) == ["c", "a"]
        (summary,) = backend.list_sessions(SessionQuery(owner=ANN, session_id="a"))
        assert (summary.count, summary.flow_ids) == (2, ("f", "g"))
        assert (summary.first_at, summary.last_at) == (NOON, NOON + timedelta(hours=2))
        backend.update_messages(MessageQuery(owner=ANN, session_id="c"), MessageChanges(session_id="d"))
        assert list_ids(backend) == ["d", "a"]

    def test_owners_have_lists_of_their_own(self, backend: MemoryBackend) -> None:
        """The same session id of two owners is two sessions."""
        for owner, session in ((ANN, "x"), (BOB, "x"), (BOB, "y"), (ANN, "z")):
            append_texts(backend, "1", session_id=session, owner=owner)
        assert list_ids(backend) == ["z", "x"]
        assert list_ids(backend, BOB) == ["y", "x"]
        every = backend.list_sessions(SessionQuery(owner=EVERY_OWNER))
        assert [(s.owner, s.session_id, s.count) for s in every] == [
            (ANN, "z", 1),
            (BOB, "y", 1),
            (BOB, "x", 1),
            (ANN, "x", 1),
        ]

    def test_every_owners_list_has_pages_too(self, backend: MemoryBackend) -> None:
        """If the query reaches every owner, ``after_owner`` names the owner of that session; without it, the least
        active session with this id is meant.
        """
        for n in range(6):
            append_texts(backend, "1", session_id="same" if n % 2 else f"s{n}", owner=f"owner {n}")
        seen = []
        page = backend.list_sessions(SessionQuery(owner=EVERY_OWNER, limit=2))
        while page:
            seen += [(summary.session_id, summary.owner) for summary in page]
            page = backend.list_sessions(
                SessionQuery(owner=EVERY_OWNER, limit=2, after=page[-1].session_id, after_owner=page[-1].owner)
            )
        assert seen == [("same" if n % 2 else f"s{n}", f"owner {n}") for n in range(5, -1, -1)]

    def test_awkward_ids_are_listed_each_by_itself(self, backend: MemoryBackend) -> None:
        """``list_sessions`` returns a summary per session, latest activity first (activity = the newest append)."""
        for session in AWKWARD_IDS.values():
            backend.append_messages([make_message(session_id=session)])
        assert list_ids(backend) == list(AWKWARD_IDS.values())[::-1]
