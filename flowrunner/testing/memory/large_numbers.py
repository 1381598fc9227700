"""More than a page of anything."""

from __future__ import annotations

from typing import Any, ClassVar, Final

import pytest

from flowrunner.memory import MemoryBackend
from flowrunner.memory.query import EVERY_OWNER, MessageQuery, SessionQuery
from flowrunner.testing.memory.listing import list_ids
from flowrunner.testing.memory.opening import BackendTests
from flowrunner.testing.memory.samples import ANN, append_texts, fetch_texts, make_message

SESSIONS: Final = 1_001
MESSAGES: Final = 10_001
_OWNERS: Final = ("ann", "bob", "cleo", "ann/x")


class PagingTests(BackendTests):
    """Pages of any size add up to the whole list, for one owner and for all."""

    group = "pages over all owners"
    came_with = 2
    mistakes: ClassVar[tuple[str, ...]] = (
        "Continuing a page over all owners after a session id alone: two owners may have the same id.",
        "Paging per owner, or per session, and then joining the pages.",
        "A page that is one too short or too long at the end of the list.",
    )

    @pytest.mark.parametrize("size", [1, 3, 7, 11])
    def test_every_owners_sessions_page_in_any_size(self, backend: MemoryBackend, size: int) -> None:
        """If the query reaches every owner, ``after_owner`` names the owner of that session; without it, the least
        active session with this id is meant.
        """
        stored = [(_OWNERS[n % 4], f"s{n % 3}") for n in range(11)]
        for owner, session in stored:
            append_texts(backend, "x", owner=owner, session_id=session)
        seen: list[tuple[str, str]] = []
        last: dict[str, Any] = {}
        while page := backend.list_sessions(SessionQuery(owner=EVERY_OWNER, limit=size, **last)):
            assert len(page) <= size
            seen += [(summary.owner, summary.session_id) for summary in page]
            last = {"after": page[-1].session_id, "after_owner": page[-1].owner}
        assert seen == stored[::-1]

    @pytest.mark.parametrize("size", [1, 3, 7, 11])
    def test_every_owners_messages_page_in_any_size(self, backend: MemoryBackend, size: int) -> None:
        """With ``after``, offset and limit count from the *oldest*, so that a reader can page forward."""
        for n in range(11):
            append_texts(backend, "x", id=str(n), owner=_OWNERS[n % 4], session_id=f"s{n % 3}")
        forward, page = ["0"], backend.fetch_messages(MessageQuery(owner=EVERY_OWNER, after="0", limit=size))
        while page:
            forward += [message.id or "" for message in page]
            page = backend.fetch_messages(MessageQuery(owner=EVERY_OWNER, after=forward[-1], limit=size))
        assert forward == [str(n) for n in range(11)]
        backward, page = ["10"], backend.fetch_messages(MessageQuery(owner=EVERY_OWNER, before="10", limit=size))
        while page:
            backward[:0] = [message.id or "" for message in page]
            page = backend.fetch_messages(MessageQuery(owner=EVERY_OWNER, before=backward[0], limit=size))
        assert backward == forward


class CapTests(BackendTests):
    """A query without a limit means all, however many."""

    group = "large numbers"
    came_with = 2
    mistakes: ClassVar[tuple[str, ...]] = (
        "A store that returns at most 1,000 or 10,000 rows unless pages are requested, as many servers do.",
        "A search that takes a limited number of hits from an index and filters them afterwards.",
        "A bulk deletion or edit that ends after one batch.",
    )

    def test_more_than_a_thousand_sessions_are_all_listed(self, backend: MemoryBackend) -> None:
        """``list_sessions`` returns a summary per session, latest activity first"""
        for n in range(SESSIONS):
            append_texts(backend, "x", session_id=f"s{n}")
        assert list_ids(backend) == [f"s{n}" for n in reversed(range(SESSIONS))]
        assert len(list_ids(backend, EVERY_OWNER, contains="S")) == SESSIONS
        assert list_ids(backend, limit=2, offset=SESSIONS - 1) == ["s0"]
        assert list_ids(backend, after="s1") == ["s0"]

    def test_more_than_ten_thousand_messages_are_all_reached(self, backend: MemoryBackend) -> None:
        """``limit`` keeps the newest N messages after skipping the newest ``offset``, by order of append and after
        all other filters; None keeps all.
        """
        for start in range(0, MESSAGES, 2000):
            numbers = range(start, min(start + 2000, MESSAGES))
            backend.append_messages([make_message(str(n), id=str(n), properties={}) for n in numbers])
        assert fetch_texts(backend, session_id="talk") == [str(n) for n in range(MESSAGES)]
        assert fetch_texts(backend, limit=MESSAGES, offset=MESSAGES - 1) == ["0"]
        assert [s.count for s in backend.list_sessions(SessionQuery(owner=ANN))] == [MESSAGES]
        assert backend.delete_messages(MessageQuery(owner=ANN, session_id="talk")) == MESSAGES
        assert fetch_texts(backend) == []
