"""Case counts wherever something is named."""

from __future__ import annotations

from typing import Any, ClassVar, Final

import pytest

from flowrunner.memory import MemoryBackend
from flowrunner.memory.query import EVERY_OWNER, MessageChanges, MessageQuery
from flowrunner.testing.memory.listing import list_ids
from flowrunner.testing.memory.opening import BackendTests
from flowrunner.testing.memory.samples import ANN, append_texts, fetch_texts, make_message

#: Names that a store might take for one another.
ALIKE: Final = ("Straße", "straße", "STRASSE")

FIELDS: Final = ("session_id", "flow_id", "context_id", "sender", "sender_name", "category", "run_id", "owner", "id")


class CaseTests(BackendTests):
    """Names that differ in case are different names, in every field."""

    group = "case"
    came_with = 2
    mistakes: ClassVar[tuple[str, ...]] = (
        "A collation that ignores case: MySQL's and SQL Server's by default, NOCASE in SQLite.",
        "Files or tables named after sessions, on a file system or in a database that ignores case.",
        "A key that is lower-cased for lookups.",
    )

    @pytest.mark.parametrize("field", FIELDS)
    def test_case_counts_in_every_field(self, backend: MemoryBackend, field: str) -> None:
        """``flow_id``, ``session_id``, ``context_id``, ``sender``, ``sender_name``, ``category`` and ``run_id`` are
        exact and case-sensitive."""
        for name in ALIKE:
            backend.append_messages([make_message(name, **{field: name})])
        for name in ALIKE:
            query: dict[str, Any] = {"ids": (name,)} if field == "id" else {field: name}
            meant = MessageQuery(**{"owner": EVERY_OWNER, **query})
            assert [message.text for message in backend.fetch_messages(meant)] == [name]
            changed = backend.update_messages(meant, MessageChanges(files=("changed",)))
            assert [message.text for message in changed] == [name]
        assert backend.delete_messages(MessageQuery(**{"owner": EVERY_OWNER, **query})) == 1
        assert fetch_texts(backend, EVERY_OWNER) == list(ALIKE[:2])

    def test_case_counts_in_exclude_run(self, backend: MemoryBackend) -> None:
        """``exclude_run`` leaves out the messages of one run."""
        for name in ALIKE:
            append_texts(backend, name, run_id=name)
        assert fetch_texts(backend, exclude_run="straße") == ["Straße", "STRASSE"]

    def test_case_counts_in_cursors(self, backend: MemoryBackend) -> None:
        """Cursors are message ids, so a page stays where it is while others insert or delete."""
        for name in ALIKE:
            append_texts(backend, name, id=name)
        assert fetch_texts(backend, before="STRASSE") == ["Straße", "straße"]
        assert fetch_texts(backend, after="Straße") == ["straße", "STRASSE"]

    def test_case_counts_in_the_list_of_sessions(self, backend: MemoryBackend) -> None:
        """``list_sessions`` returns a summary per session, latest activity first"""
        for name in ALIKE:
            append_texts(backend, "x", session_id=name, flow_id=name)
        assert list_ids(backend) == list(ALIKE[::-1])
        assert list_ids(backend, session_id="straße") == ["straße"]
        assert list_ids(backend, flow_id="straße") == ["straße"]
        assert list_ids(backend, after="straße") == ["Straße"]

    def test_a_move_to_another_case_is_a_move(self, backend: MemoryBackend) -> None:
        """with ``changes.session_id`` the messages that are not there yet move to that session of their owner."""
        append_texts(backend, "x", session_id="talk")
        moved = backend.update_messages(MessageQuery(owner=ANN, session_id="talk"), MessageChanges(session_id="Talk"))
        assert [message.session_id for message in moved] == list_ids(backend) == ["Talk"]
        assert fetch_texts(backend, session_id="talk") == []
