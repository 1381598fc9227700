"""Every filter with every verb: what a query means does not depend on what is done with it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

import pytest

from flowrunner.memory import MemoryBackend
from flowrunner.memory.query import MessageChanges, MessageQuery
from flowrunner.testing.memory.opening import BackendTests
from flowrunner.testing.memory.samples import ANN, BOB, NOON, append_texts, make_message

#: By filter: the member of a query, its value, and the fields of messages that it means and does not mean.
FILTERS: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "session_id": ({"session_id": "s"}, {"session_id": "s"}, {"session_id": "S"}),
    "flow_id": ({"flow_id": "f"}, {"flow_id": "f"}, {"flow_id": None}),
    "context_id": ({"context_id": "c"}, {"context_id": "c"}, {"context_id": ""}),
    "sender": ({"sender": "User"}, {"sender": "User"}, {"sender": "Machine"}),
    "sender_name": ({"sender_name": "Ann"}, {"sender_name": "Ann"}, {"sender_name": "ann"}),
    "category": ({"category": "error"}, {"category": "error"}, {"category": "message"}),
    "error": ({"error": True}, {"error": True}, {"error": False}),
    "no error": ({"error": False}, {"error": False}, {"error": True}),
    "run_id": ({"run_id": "r"}, {"run_id": "r"}, {"run_id": "r2"}),
    "exclude_run": ({"exclude_run": "r"}, {"run_id": None}, {"run_id": "r"}),
    "text": ({"text": "PEAR apple"}, {"text": "apple, pear"}, {"text": "apple"}),
    "since": ({"since": NOON}, {"timestamp": NOON}, {"timestamp": NOON - timedelta(microseconds=1)}),
    "until": ({"until": NOON}, {"timestamp": NOON - timedelta(microseconds=1)}, {"timestamp": NOON}),
    "ids": ({"ids": ("yes 0", "yes 1")}, {}, {}),
    "owner": ({}, {"owner": ANN}, {"owner": BOB}),
}
VERBS = ("fetch", "update", "delete")


class VerbTests(BackendTests):
    """A filter means the same to a fetch, an update and a deletion."""

    group = "filters with every verb"
    mistakes: ClassVar[tuple[str, ...]] = (
        "A filter that fetch applies and update or delete ignores, which then reach everything.",
        "A window that is counted differently in a deletion.",
    )

    @pytest.mark.parametrize("verb", VERBS)
    @pytest.mark.parametrize("name", FILTERS)
    def test_a_verb_reaches_what_the_filter_means(self, backend: MemoryBackend, name: str, verb: str) -> None:
        """Which messages are meant. All members that are set must hold (AND)."""
        members, yes, no = FILTERS[name]
        for n in range(2):
            _append(backend, f"yes {n}", yes)
            _append(backend, f"no {n}", no)
        query = MessageQuery(owner=ANN, **members)
        assert _reached(backend, query, verb) == ["yes 0", "yes 1"]
        left = {message.id for owner in (ANN, BOB) for message in backend.fetch_messages(MessageQuery(owner=owner))}
        assert left == {"no 0", "no 1", *(["yes 0", "yes 1"] if verb != "delete" else [])}

    @pytest.mark.parametrize("verb", VERBS)
    def test_a_verb_counts_the_window_after_all_filters(self, backend: MemoryBackend, verb: str) -> None:
        """``limit`` keeps the newest N messages after skipping the newest ``offset``, by order of append and after
        all other filters; None keeps all.
        """
        for n in range(8):
            append_texts(backend, "x", id=str(n), sender="User" if n % 2 else "Machine", flow_id="f" if n > 2 else "g")
        query = MessageQuery(owner=ANN, sender="User", flow_id="f", limit=1, offset=1)
        assert _reached(backend, query, verb) == ["5"]

    @pytest.mark.parametrize("verb", VERBS)
    def test_a_verb_keeps_between_its_cursors(self, backend: MemoryBackend, verb: str) -> None:
        """``before`` and ``after`` are ids of messages (cursors): only messages appended before, or after, that one."""
        for n in range(6):
            append_texts(backend, "x", id=str(n))
        query = MessageQuery(owner=ANN, after="1", before="4")
        assert _reached(backend, query, verb) == ["2", "3"]


def _append(backend: MemoryBackend, name: str, fields: dict[str, Any]) -> None:
    backend.append_messages([make_message(**{"text": "x", "id": name, **fields})])


def _reached(backend: MemoryBackend, query: MessageQuery, verb: str) -> list[str | None]:
    """Do it, and return the ids of the messages that it reached, in order."""
    before = [message.id for message in _all(backend)]
    if verb == "fetch":
        return [message.id for message in backend.fetch_messages(query)]
    if verb == "update":
        changed = backend.update_messages(query, MessageChanges(category="edited"))
        reached = [message.id for message in _all(backend) if message.category == "edited"]
        assert [message.id for message in changed] == reached
        return reached
    number = backend.delete_messages(query)
    there = {message.id for message in _all(backend)}
    gone = [name for name in before if name not in there]
    assert number == len(gone)
    return gone


def _all(backend: MemoryBackend) -> list[Any]:
    return [message for owner in (ANN, BOB) for message in backend.fetch_messages(MessageQuery(owner=owner))]
