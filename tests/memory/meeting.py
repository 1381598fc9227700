"""Careless writers that meet: what they undo of each other, they undo in any schedule.

A planted mistake between threads or processes lies between two steps: what was read, and what is written later.
Whether somebody else comes in between is luck, unless both wait for it: here a careless writer has read and waits
until the others have done their part, and the others wait until it has read. They do so once; there is a deadline,
so that a test which sets no such trap goes on.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flowrunner.testing.memory.concurrency import WRITERS

#: Seconds that one waits for the others: less than the tests do at their own barriers.
DEADLINE = 20.0


class ThreadMeeting:
    """Where the threads of a test leave marks; the main thread, which prepares and checks, has no part in it."""

    def __init__(self) -> None:
        self._marks: set[str] = set()

    def takes_part(self) -> bool:
        return threading.current_thread() is not threading.main_thread()

    def mark(self, word: str) -> None:
        self._marks.add(f"{word} {threading.get_ident()}")

    def count(self, word: str) -> int:
        return sum(mark.startswith(word) for mark in tuple(self._marks))

    def wait_for(self, word: str, count: int = 1) -> None:
        deadline = time.monotonic() + DEADLINE
        while self.count(word) < count and time.monotonic() < deadline:
            time.sleep(0.001)


class ProcessMeeting(ThreadMeeting):
    """Where the processes of a test leave marks; who opened the store first has no part in it.

    :param path: the file that all of them open.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._first = not path.exists()
        self._path = path

    def takes_part(self) -> bool:
        return not self._first

    def mark(self, word: str) -> None:
        self._path.with_suffix(f".{word}-{os.getpid()}").touch()

    def count(self, word: str) -> int:
        return len(list(self._path.parent.glob(f"*.{word}-*")))


class Meets:
    """Operations of a backend that wait for each other; mixed in before it.

    ``careful`` is the operation that makes no mistake: it waits until so many ``readers`` have read, and then does its
    part. A careless one calls ``has_read`` between what it reads and what it writes.
    """

    careful = ""
    readers = WRITERS
    meeting: ThreadMeeting

    def has_read(self) -> None:
        if self.meeting.takes_part():
            self.meeting.mark("read")
            self.meeting.wait_for("read", self.readers)
            if self.careful:
                self.meeting.wait_for("written")

    @contextmanager
    def beside(self, operation: str) -> Iterator[None]:
        waits = operation == self.careful and self.meeting.takes_part()
        if waits:
            self.meeting.wait_for("read", self.readers)
        yield
        if waits:
            self.meeting.mark("written")

    def append_messages(self, messages):
        with self.beside("append"):
            return super().append_messages(messages)  # type: ignore[misc]

    def update_messages(self, query, changes):
        with self.beside("update"):
            return super().update_messages(query, changes)  # type: ignore[misc]

    def delete_messages(self, query):
        with self.beside("delete"):
            return super().delete_messages(query)  # type: ignore[misc]
