"""Every filter of a query, alone and together, and search."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

from flowrunner.memory import MemoryBackend
from flowrunner.memory.query import EVERY_OWNER, MessageChanges, MessageQuery
from flowrunner.testing.memory.opening import BackendTests
from flowrunner.testing.memory.samples import ANN, BOB, NOON, append_texts, fetch_texts, make_message

#: Filter, its value, and one that looks like it and is another.
EXACT: tuple[tuple[str, Any, Any], ...] = (
    ("session_id", "talk", "Talk"),
    ("flow_id", "flow-1", "flow-10"),
    ("flow_id", "flow-1", None),
    ("context_id", "context", ""),
    ("context_id", "", "context"),
    ("context_id", "context", None),
    ("sender", "User", "user"),
    ("sender_name", "AI", "AI "),
    ("category", "message", "error"),
    ("run_id", "run-1", None),
    ("error", True, False),
    ("error", False, True),
)

SEARCHED = (
    "Hello, World",
    "say HELLO twice hello",
    "jelly",
    "Straße",
    "Σίσυφος",
    "100% e_x",
    "日本語の文字列",
    "before\0hidden",
    "",
)

#: What is searched for, and which of the texts above contain it.
FOUND: dict[str, list[str]] = {
    "hello": ["Hello, World", "say HELLO twice hello"],
    "world hello": ["Hello, World"],
    "ell": ["Hello, World", "say HELLO twice hello", "jelly"],
    "el": ["Hello, World", "say HELLO twice hello", "jelly"],
    "e": ["Hello, World", "say HELLO twice hello", "jelly", "Straße", "100% e_x", "before\0hidden"],
    "strasse": ["Straße"],
    "STRAßE": ["Straße"],
    "ΣΊΣΥΦΟΣ": ["Σίσυφος"],
    "100%": ["100% e_x"],
    "e_x": ["100% e_x"],
    "ell%": [],
    "h_llo": [],
    '"hello"': [],
    "hello OR jelly": [],
    "NOT hello": [],
    "文字": ["日本語の文字列"],
    "本語の文": ["日本語の文字列"],
    "hidden": ["before\0hidden"],
    "before\0hidden": ["before\0hidden"],
    "absent": [],
    "  jelly \n": ["jelly"],
}


class FilterTests(BackendTests):
    """A query means the messages that match all its members."""

    group = "filters"
    mistakes: ClassVar[tuple[str, ...]] = (
        "A filter that the store reads as a pattern.",
        "``exclude_run`` that drops messages without a run, since NULL is not unequal to anything.",
        "``until`` treated as inclusive.",
        "More ids than an SQL statement accepts.",
    )

    def test_an_exact_filter_keeps_exactly_its_value(self, backend: MemoryBackend) -> None:
        """``flow_id``, ``session_id``, ``context_id``, ``sender``, ``sender_name``, ``category`` and ``run_id`` are
        exact and case-sensitive."""
        for case, (name, wanted, other) in enumerate(EXACT):
            owner = f"owner {case}"
            for n in range(3):
                append_texts(backend, f"yes {n}", owner=owner, **{name: wanted})
                append_texts(backend, f"no {n}", owner=owner, **{name: other})
            filtered: dict[str, Any] = {name: wanted}
            assert fetch_texts(backend, owner, **filtered) == ["yes 0", "yes 1", "yes 2"], (name, wanted, other)

    def test_ids_keep_those_messages_in_order_of_append(self, backend: MemoryBackend) -> None:
        """``ids`` keeps those with one of the ids; an empty tuple means none."""
        stored = append_texts(backend, *"abcd")
        ids = (stored[2].id or "", "unknown", stored[0].id or "", stored[2].id or "")
        assert fetch_texts(backend, ids=ids) == ["a", "c"]
        assert fetch_texts(backend, ids=ids, limit=1) == ["c"]
        assert fetch_texts(backend, ids=()) == []

    def test_very_many_ids_can_be_asked_for(self, backend: MemoryBackend) -> None:
        """``ids`` keeps those with one of the ids; an empty tuple means none."""
        stored = append_texts(backend, *"abcd")
        ids = (*(f"unknown {n}" for n in range(40_000)), *(message.id or "" for message in stored))
        assert fetch_texts(backend, ids=ids) == ["a", "b", "c", "d"]
        assert fetch_texts(backend, ids=ids, limit=2, offset=1) == ["b", "c"]

    def test_exclude_run_keeps_messages_of_no_run(self, backend: MemoryBackend) -> None:
        """``exclude_run`` leaves out the messages of one run."""
        append_texts(backend, "no run")
        append_texts(backend, "this run", run_id="run-1")
        append_texts(backend, "other run", run_id="run-2")
        assert fetch_texts(backend, exclude_run="run-1") == ["no run", "other run"]

    def test_since_and_until_bound_the_timestamp(self, backend: MemoryBackend) -> None:
        """``since`` and ``until`` bound the timestamp (``since <= t < until``)."""
        for n in range(5):
            append_texts(backend, str(n), timestamp=NOON + timedelta(microseconds=n))
        one, three = NOON + timedelta(microseconds=1), NOON + timedelta(microseconds=3)
        assert fetch_texts(backend, since=one) == ["1", "2", "3", "4"]
        assert fetch_texts(backend, until=three) == ["0", "1", "2"]
        assert fetch_texts(backend, since=one, until=three) == ["1", "2"]

    def test_filters_must_hold_together(self, backend: MemoryBackend) -> None:
        """Which messages are meant. All members that are set must hold (AND)."""
        for flow in ("f", "g"):
            for sender in ("User", "Machine"):
                for session in ("s", "t"):
                    append_texts(backend, f"{flow} {sender} {session}", flow_id=flow, sender=sender, session_id=session)
        assert fetch_texts(backend, flow_id="g", sender="User") == ["g User s", "g User t"]
        assert fetch_texts(backend, flow_id="g", sender="User", session_id="t") == ["g User t"]
        assert fetch_texts(backend, EVERY_OWNER, flow_id="g", session_id="s") == ["g User s", "g Machine s"]

    def test_a_flow_of_several_owners_keeps_one_order(self, backend: MemoryBackend) -> None:
        """*Order* is the order of append, never the clock."""
        for n in range(8):
            append_texts(backend, str(n), owner=(ANN, BOB, "cleo")[n % 3], flow_id="f", session_id=f"s{n}")
        assert fetch_texts(backend, EVERY_OWNER, flow_id="f") == [str(n) for n in range(8)]
        assert fetch_texts(backend, EVERY_OWNER, flow_id="f", limit=3, offset=1) == ["4", "5", "6"]
        assert fetch_texts(backend, EVERY_OWNER, flow_id="other") == []

    def test_a_filter_is_never_read_as_a_pattern(self, backend: MemoryBackend) -> None:
        """``flow_id``, ``session_id``, ``context_id``, ``sender``, ``sender_name``, ``category`` and ``run_id`` are
        exact and case-sensitive."""
        for name in ("session_id", "flow_id", "sender", "sender_name", "context_id", "run_id"):
            append_texts(backend, "plain", owner=name, **{name: "abc"})
            for pattern in ("a%", "a_c", "a*", "[a]bc", "a?c", "' OR '1'='1", "abc\0", ".*"):
                filtered: dict[str, Any] = {name: pattern}
                assert fetch_texts(backend, name, **filtered) == [], (name, pattern)


class SearchTests(BackendTests):
    """``text`` keeps messages that contain all its words, any case."""

    group = "search"
    mistakes: ClassVar[tuple[str, ...]] = (
        "Searching for the phrase, or for whole words only.",
        "An index that edits, moves and deletions do not update.",
        "Applying the limit to hits before the other filters.",
    )

    def test_search_finds_all_words_anywhere_in_any_case(self, backend: MemoryBackend) -> None:
        """``text`` keeps messages that contain all its words (separated by white space), anywhere in the text, also
        inside longer words, ignoring case.
        """
        append_texts(backend, *SEARCHED)
        assert {text: fetch_texts(backend, text=text) for text in FOUND} == FOUND
        assert {text: fetch_texts(backend, text=text, session_id="talk") for text in FOUND} == FOUND

    def test_blank_search_means_everything(self, backend: MemoryBackend) -> None:
        """``text`` keeps messages that contain all its words (separated by white space), anywhere in the text, also
        inside longer words, ignoring case.
        """
        append_texts(backend, "a", "b")
        assert fetch_texts(backend, text="") == ["a", "b"]
        assert fetch_texts(backend, text=" \t") == ["a", "b"]

    def test_search_goes_together_with_filters_and_windows(self, backend: MemoryBackend) -> None:
        """Which messages are meant. All members that are set must hold (AND)."""
        for n in range(20):
            append_texts(backend, f"{'apple' if n % 2 else 'pear'} {n}", flow_id="f" if n < 10 else "g")
        assert fetch_texts(backend, text="apple", limit=2) == ["apple 17", "apple 19"]
        assert fetch_texts(backend, text="apple", limit=2, offset=1) == ["apple 15", "apple 17"]
        assert fetch_texts(backend, text="apple", flow_id="f", limit=2) == ["apple 7", "apple 9"]
        cursor = backend.fetch_messages(MessageQuery(owner=ANN))[9].id
        assert fetch_texts(backend, text="apple", after=cursor, limit=2) == ["apple 11", "apple 13"]
        assert fetch_texts(backend, text="apple", before=cursor, limit=2) == ["apple 5", "apple 7"]

    def test_search_follows_changes_in_a_large_store(self, backend: MemoryBackend) -> None:
        """``text`` keeps messages that contain all its words (separated by white space), anywhere in the text, also
        inside longer words, ignoring case.
        """
        # Enough messages that a backend which makes an index makes one.
        for start in range(0, 6000, 1000):
            many = [make_message(f"filler {n}", flow_id="f") for n in range(start, start + 1000)]
            many[500] = make_message(f"needle {start}", session_id="talk", flow_id="g")
            backend.append_messages(many)
        needles = [f"needle {start}" for start in range(0, 6000, 1000)]
        assert fetch_texts(backend, text="needle") == needles
        assert fetch_texts(backend, text="needle") == needles
        stored = backend.fetch_messages(MessageQuery(owner=ANN, text="needle"))
        backend.delete_messages(MessageQuery(owner=ANN, ids=(stored[0].id or "",)))
        backend.update_messages(MessageQuery(owner=ANN, ids=(stored[1].id or "",)), MessageChanges(text="Thread"))
        backend.update_messages(
            MessageQuery(owner=ANN, ids=(stored[2].id or "",)), MessageChanges(session_id="elsewhere")
        )
        append_texts(backend, "a needle at the end")
        assert fetch_texts(backend, text="needle") == [*needles[2:], "a needle at the end"]
        assert fetch_texts(backend, text="thread") == ["Thread"]
        assert fetch_texts(backend, text="needle", limit=2) == ["needle 5000", "a needle at the end"]
        assert fetch_texts(backend, text="needle", session_id="elsewhere") == ["needle 2000"]
        assert fetch_texts(backend, text="filler 4999") == ["filler 4999"]

    def test_search_stays_with_the_owner(self, backend: MemoryBackend) -> None:
        """A query reaches only messages of its owner; :data:`EVERY_OWNER` reaches all."""
        append_texts(backend, "secret word", owner=BOB)
        assert fetch_texts(backend, text="secret") == []
        assert fetch_texts(backend, EVERY_OWNER, text="secret") == ["secret word"]
