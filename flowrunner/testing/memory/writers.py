"""Edits and deletions beside other writers: nothing acknowledged vanishes, nothing deleted comes back."""

from __future__ import annotations

import threading
from collections.abc import Callable

from flowrunner.memory import MemoryBackend
from flowrunner.memory.query import MessageChanges, MessageQuery
from flowrunner.testing.memory.opening import BackendTests
from flowrunner.testing.memory.samples import ANN, append_texts, fetch_texts
from flowrunner.testing.memory.threads import run_in_threads

THREADS = 4
ROUNDS = 10


def _one(name: str) -> MessageQuery:
    return MessageQuery(owner=ANN, ids=(name,))


def in_rounds(work: Callable[[int, int], int]) -> int:
    """Let all threads do each round at the same moment; return the sum of what they return."""
    together = threading.Barrier(THREADS)

    def rounds(thread: int) -> int:
        done = 0
        try:
            for n in range(ROUNDS):
                together.wait(30)
                done += work(thread, n)
        except BaseException:
            together.abort()
            raise
        return done

    return sum(number for number in run_in_threads(rounds, THREADS) if isinstance(number, int))


class WriterTests(BackendTests):
    """Four threads that edit and delete what lies beside, and is, the others'."""

    group = "edits beside other writers"

    def test_deletions_beside_appends_lose_nothing(self, backend: MemoryBackend) -> None:
        for n in range(ROUNDS):
            append_texts(backend, "old", id=f"old {n}")

        def work(thread: int, n: int) -> int:
            if thread == 0:
                return backend.delete_messages(_one(f"old {n}"))
            append_texts(backend, f"{thread} {n}")
            return 0

        assert in_rounds(work) == ROUNDS
        assert sorted(fetch_texts(backend)) == sorted(f"{t} {n}" for t in range(1, THREADS) for n in range(ROUNDS))

    def test_edits_beside_appends_lose_nothing(self, backend: MemoryBackend) -> None:
        for n in range(ROUNDS):
            append_texts(backend, "old", id=f"old {n}")

        def work(thread: int, n: int) -> int:
            if thread == 0:
                return len(backend.update_messages(_one(f"old {n}"), MessageChanges(text=f"new {n}")))
            append_texts(backend, f"{thread} {n}")
            return 0

        assert in_rounds(work) == ROUNDS
        expected = [f"{t} {n}" for t in range(1, THREADS) for n in range(ROUNDS)]
        assert sorted(fetch_texts(backend)) == sorted([*expected, *(f"new {n}" for n in range(ROUNDS))])

    def test_edits_beside_edits_are_all_done(self, backend: MemoryBackend) -> None:
        for n in range(ROUNDS):
            append_texts(backend, "old", id=str(n))
        fields = ("text", "sender_name", "category", "context_id")

        def work(thread: int, n: int) -> int:
            changes = MessageChanges(**{fields[thread]: f"new {n}"})  # type: ignore[arg-type]
            return len(backend.update_messages(_one(str(n)), changes))

        assert in_rounds(work) == ROUNDS * THREADS
        for n, message in enumerate(backend.fetch_messages(MessageQuery(owner=ANN))):
            assert [getattr(message, name) for name in fields] == [f"new {n}"] * THREADS, (
                "an edit was undone by another"
            )

    def test_deletions_beside_edits_stay_deleted(self, backend: MemoryBackend) -> None:
        for n in range(ROUNDS):
            append_texts(backend, "old", id=str(n))

        def work(thread: int, n: int) -> int:
            if thread == 0:
                return backend.delete_messages(_one(str(n)))
            backend.update_messages(MessageQuery(owner=ANN), MessageChanges(text=f"{thread} {n}"))
            return 0

        assert in_rounds(work) == ROUNDS
        assert fetch_texts(backend) == [], "a deleted message came back with an edit"

    def test_a_message_is_deleted_once(self, backend: MemoryBackend) -> None:
        for n in range(ROUNDS):
            append_texts(backend, "old", id=str(n))

        told = in_rounds(lambda thread, n: backend.delete_messages(_one(str(n))))
        assert told == ROUNDS, "a deletion was counted twice"
        assert fetch_texts(backend) == []
