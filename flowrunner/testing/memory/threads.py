"""Eight threads at once."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from typing import ClassVar

from flowrunner.errors import MessageInvalid
from flowrunner.memory import MemoryBackend
from flowrunner.memory.query import EVERY_OWNER, MessageChanges, MessageQuery, SessionQuery, SessionSummary
from flowrunner.testing.memory.listing import list_ids
from flowrunner.testing.memory.opening import BackendTests
from flowrunner.testing.memory.samples import ANN, append_texts, fetch_texts, make_message

THREADS = 8
ROUNDS = 15


def run_in_threads(work: Callable[[int], object], threads: int = THREADS) -> list[object]:
    """Run the work once per thread, all starting at the same moment, and return what they return."""
    start = threading.Barrier(threads)

    def begin(number: int) -> object:
        start.wait(30)
        return work(number)

    running = [Thread(partial(begin, number)) for number in range(threads)]
    return [thread.result() for thread in running]


class Thread:
    """A call on a thread that keeps nobody: where a backend hangs, test and interpreter end all the same."""

    def __init__(self, work: Callable[[], object]) -> None:
        self._answer: Future[object] = Future()
        self._work = work
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def result(self, seconds: float | None = None) -> object:
        """Return what the call returned, or raise what it raised.

        :raises TimeoutError: if it has not ended after so many seconds.
        """
        answer = self._answer.result(seconds)
        self._thread.join(seconds)
        return answer

    def is_over(self, seconds: float) -> bool:
        """Say whether the call ends within so many seconds."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._answer.set_result(self._work())
        except BaseException as error:
            self._answer.set_exception(error)


@contextmanager
def meanwhile(work: Callable[[], object]) -> Iterator[None]:
    """Repeat some work on another thread as long as the block runs, and raise what it raised."""
    done = threading.Event()

    def repeat() -> None:
        while not done.is_set():
            work()

    running = Thread(repeat)
    try:
        yield
    finally:
        done.set()
        running.result(60)


def follow(backend: MemoryBackend, seen: list[str], first: str) -> None:
    """Read on behind the last message seen, a few at a time, as a reader that follows a store does."""
    last = seen[-1] if seen else first
    seen += [message.id or "" for message in backend.fetch_messages(MessageQuery(owner=ANN, after=last, limit=7))]


class ThreadTests(BackendTests):
    """Many threads share one backend object."""

    group = "threads"
    mistakes: ClassVar[tuple[str, ...]] = (
        "Reading, changing and writing back without a lock.",
        "Checking whether an id is taken in a separate step from the write.",
        "A reader that sees part of a call.",
        "A failed call that makes other calls in the same commit fail.",
    )

    def test_no_message_is_lost_doubled_or_out_of_order(self, backend: MemoryBackend) -> None:
        """Two appends that return one after the other are in that order for every reader, in every thread and
        process"""

        def write(thread: int) -> None:
            for n in range(ROUNDS):
                backend.append_messages([make_message(f"{thread} {n} {part}") for part in "ab"])

        run_in_threads(write)
        texts = fetch_texts(backend, session_id="talk")
        assert sorted(texts) == sorted(
            f"{t} {n} {part}" for t in range(THREADS) for n in range(ROUNDS) for part in "ab"
        )
        for thread in range(THREADS):
            own = [text for text in texts if text.startswith(f"{thread} ")]
            assert own == [f"{thread} {n} {part}" for n in range(ROUNDS) for part in "ab"]
        assert sorted(fetch_texts(backend)) == sorted(texts)

    def test_each_thread_sees_what_it_has_written(self, backend: MemoryBackend) -> None:
        """Two appends that return one after the other are in that order for every reader, in every thread and
        process"""

        def write(thread: int) -> None:
            for n in range(ROUNDS):
                append_texts(backend, str(n), session_id=f"talk {thread}")
                assert fetch_texts(backend, session_id=f"talk {thread}") == [str(m) for m in range(n + 1)]

        run_in_threads(write)

    def test_one_of_many_gets_an_id(self, backend: MemoryBackend) -> None:
        """appending an id that is taken (anywhere in the store, or twice in one call) raises
        :class:`~flowrunner.MessageInvalid`."""

        def write(thread: int) -> list[int]:
            won = []
            for n in range(ROUNDS):
                try:
                    append_texts(backend, str(thread), id=f"id {n}", session_id=f"talk {thread}")
                except MessageInvalid:
                    continue
                won.append(n)
            return won

        won = Counter(n for one in run_in_threads(write) if isinstance(one, list) for n in one)
        assert won == dict.fromkeys(range(ROUNDS), 1)
        assert len(fetch_texts(backend)) == ROUNDS

    def test_one_bad_call_among_many_fails_alone(self, backend: MemoryBackend) -> None:
        """appending an id that is taken (anywhere in the store, or twice in one call) raises
        :class:`~flowrunner.MessageInvalid`."""
        (stored,) = append_texts(backend, "first", session_id="before")

        def write(thread: int) -> int:
            refused = 0
            for n in range(ROUNDS):
                try:
                    append_texts(backend, "bad", id=stored.id)
                except MessageInvalid:
                    refused += 1
                append_texts(backend, f"{thread} {n}")
            return refused

        assert run_in_threads(write) == [ROUNDS] * THREADS
        assert len(fetch_texts(backend, session_id="talk")) == ROUNDS * THREADS

    def test_nobody_sees_half_a_call(self, backend: MemoryBackend) -> None:
        """``append_messages`` takes messages of one owner and one session, stores all or none, keeps their order, and
        returns them as stored."""

        def look() -> None:
            counts = Counter(message.run_id for message in backend.fetch_messages(MessageQuery(owner=ANN)))
            assert set(counts.values()) <= {5}
            assert all(summary.count % 5 == 0 for summary in _summaries(backend))

        def write(thread: int) -> None:
            for n in range(ROUNDS // 2):
                run = f"{thread} {n}"
                backend.append_messages([make_message(session_id=f"s{thread % 3}", run_id=run) for _ in range(5)])
                if n % 4 == 3:
                    backend.delete_messages(MessageQuery(owner=ANN, run_id=run))

        with meanwhile(look):
            run_in_threads(write, 4)

    def test_a_reader_that_follows_misses_nothing(self, backend: MemoryBackend) -> None:
        """So a reader that follows a store with ``after`` misses nothing."""
        (first,) = append_texts(backend, "first")
        seen: list[str] = []

        def write(thread: int) -> None:
            for n in range(ROUNDS):
                append_texts(backend, "x", session_id=f"s{thread}", id=f"{thread} {n}")

        with meanwhile(lambda: follow(backend, seen, first.id or "")):
            run_in_threads(write)
        follow_to_the_end(backend, seen, first.id or "")
        stored = [message.id or "" for message in backend.fetch_messages(MessageQuery(owner=ANN))]
        assert seen == stored[1:]
        assert len(seen) == THREADS * ROUNDS

    def test_moves_and_writes_lose_nothing(self, backend: MemoryBackend) -> None:
        """All or nothing, even if the process dies in between."""

        def work(thread: int) -> None:
            for n in range(ROUNDS):
                if thread < 2:
                    here, there = ("left", "right") if thread else ("right", "left")
                    backend.update_messages(MessageQuery(owner=ANN, session_id=here), MessageChanges(session_id=there))
                else:
                    append_texts(backend, f"{thread} {n}", session_id=("left", "right")[n % 2])

        run_in_threads(work)
        expected = sorted(f"{t} {n}" for t in range(2, THREADS) for n in range(ROUNDS))
        assert sorted(fetch_texts(backend)) == expected
        both = fetch_texts(backend, session_id="left") + fetch_texts(backend, session_id="right")
        assert sorted(both) == expected
        assert sum(summary.count for summary in _summaries(backend)) == len(expected)
        assert set(list_ids(backend, EVERY_OWNER)) <= {"left", "right"}


def follow_to_the_end(backend: MemoryBackend, seen: list[str], first: str) -> None:
    """Read on until nothing new comes."""
    before = -1
    while len(seen) != before:
        before = len(seen)
        follow(backend, seen, first)


def _summaries(backend: MemoryBackend) -> list[SessionSummary]:
    return backend.list_sessions(SessionQuery(owner=ANN))
