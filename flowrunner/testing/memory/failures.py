"""Writes that fail."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import ClassVar

import pytest

from flowrunner.errors import MemoryFailed
from flowrunner.memory import MemoryBackend
from flowrunner.memory.query import MessageChanges, MessageQuery
from flowrunner.testing.memory.listing import list_ids
from flowrunner.testing.memory.opening import BackendTests
from flowrunner.testing.memory.samples import ANN, append_texts, fetch_texts, make_message


class FailureTests(BackendTests):
    """A write that fails says so and leaves nothing half-done. For classes that define ``break_writes``."""

    group = "failing writes"
    mistakes: ClassVar[tuple[str, ...]] = (
        "A failed write that returns None or an empty list.",
        "The store's own exception instead of MemoryFailed.",
        "A session created by a failed append.",
    )

    @pytest.fixture
    def broken(self, backend: MemoryBackend) -> AbstractContextManager[None]:
        """Return the context within which writes fail, after two messages were stored."""
        append_texts(backend, "a", "b")
        found = self.break_writes(backend)
        if found is None:
            pytest.skip("the test class does not define how to break writes")
        return found

    def test_a_failed_append_stores_nothing(self, backend: MemoryBackend, broken: AbstractContextManager[None]) -> None:
        """An operation that cannot be done raises :class:`~flowrunner.MemoryFailed` (with ``__cause__``) and leaves
        nothing half-done; no falsy value ever means failure."""
        lost = [make_message("lost"), make_message("lost too", session_id="talk")]
        with broken, pytest.raises(MemoryFailed) as failure:
            backend.append_messages(lost)
        assert failure.value.__cause__ is not None
        assert fetch_texts(backend) == ["a", "b"]
        assert list_ids(backend) == ["talk"]
        backend.append_messages(lost)
        assert fetch_texts(backend) == ["a", "b", "lost", "lost too"]

    def test_a_failed_append_makes_no_session(
        self, backend: MemoryBackend, broken: AbstractContextManager[None]
    ) -> None:
        """An operation that cannot be done raises :class:`~flowrunner.MemoryFailed` (with ``__cause__``) and leaves
        nothing half-done; no falsy value ever means failure."""
        with broken, pytest.raises(MemoryFailed):
            append_texts(backend, "lost", session_id="new")
        assert list_ids(backend) == ["talk"]
        append_texts(backend, "kept", session_id="new")
        assert fetch_texts(backend) == ["a", "b", "kept"]

    def test_a_failed_change_changes_nothing(
        self, backend: MemoryBackend, broken: AbstractContextManager[None]
    ) -> None:
        """An operation that cannot be done raises :class:`~flowrunner.MemoryFailed` (with ``__cause__``) and leaves
        nothing half-done; no falsy value ever means failure."""
        with broken:
            for changes in (MessageChanges(text="lost"), MessageChanges(session_id="lost")):
                with pytest.raises(MemoryFailed):
                    backend.update_messages(MessageQuery(owner=ANN), changes)
        assert fetch_texts(backend, session_id="talk") == ["a", "b"]
        assert list_ids(backend) == ["talk"]

    def test_a_failed_deletion_deletes_nothing(
        self, backend: MemoryBackend, broken: AbstractContextManager[None]
    ) -> None:
        """An operation that cannot be done raises :class:`~flowrunner.MemoryFailed` (with ``__cause__``) and leaves
        nothing half-done; no falsy value ever means failure."""
        with broken, pytest.raises(MemoryFailed):
            backend.delete_messages(MessageQuery(owner=ANN, limit=1))
        assert fetch_texts(backend) == ["a", "b"]
        assert backend.delete_messages(MessageQuery(owner=ANN, limit=1)) == 1

    def test_reading_goes_on(self, backend: MemoryBackend, broken: AbstractContextManager[None]) -> None:
        """An operation that cannot be done raises :class:`~flowrunner.MemoryFailed` (with ``__cause__``) and leaves
        nothing half-done; no falsy value ever means failure."""
        with broken:
            assert fetch_texts(backend) == ["a", "b"]
            assert list_ids(backend) == ["talk"]
