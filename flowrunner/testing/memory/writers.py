"""Edits and deletions beside other writers: nothing acknowledged vanishes, nothing deleted comes back."""

from __future__ import annotations

import threading
from typing import ClassVar

from flowrunner.memory import MemoryBackend
from flowrunner.testing.memory.concurrency import SCENARIOS, WRITERS, in_rounds, store_old
from flowrunner.testing.memory.opening import BackendTests
from flowrunner.testing.memory.threads import run_in_threads


def write_in_threads(backend: MemoryBackend, name: str) -> None:
    """Let four threads do a scenario, and check what is there afterwards."""
    scenario, together = SCENARIOS[name], threading.Barrier(WRITERS)
    store_old(backend)
    told = run_in_threads(lambda writer: in_rounds(backend, scenario, writer, together), WRITERS)
    scenario.check(backend, sum(number for number in told if isinstance(number, int)))


class WriterTests(BackendTests):
    """Four threads edit and delete messages next to, and among, each other's."""

    group = "edits beside other writers"
    mistakes: ClassVar[tuple[str, ...]] = (
        "An edit that writes back the whole row as it was read, and undoes a concurrent edit of another field.",
        "An edit that restores a message that was deleted meanwhile.",
        "A deletion that two callers count.",
    )

    def test_deletions_beside_appends_lose_nothing(self, backend: MemoryBackend) -> None:
        """When it returns, the messages are stored: a ``durable`` backend has them on disk."""
        write_in_threads(backend, "deletions beside appends")

    def test_edits_beside_appends_lose_nothing(self, backend: MemoryBackend) -> None:
        """When it returns, the messages are stored: a ``durable`` backend has them on disk."""
        write_in_threads(backend, "edits beside appends")

    def test_edits_beside_edits_are_all_done(self, backend: MemoryBackend) -> None:
        """``update_messages`` changes all messages that the query means and returns the changed messages, oldest
        first; if there are none, the list is empty.
        """
        write_in_threads(backend, "edits beside edits")

    def test_deletions_beside_edits_stay_deleted(self, backend: MemoryBackend) -> None:
        """``delete_messages`` removes the messages that the query means and returns their number."""
        write_in_threads(backend, "deletions beside edits")

    def test_a_message_is_deleted_once(self, backend: MemoryBackend) -> None:
        """``delete_messages`` removes the messages that the query means and returns their number."""
        write_in_threads(backend, "deletions beside deletions")
