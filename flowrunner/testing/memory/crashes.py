"""Processes and servers that die."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import pytest

from flowrunner.errors import MemoryFailed
from flowrunner.memory import MemoryBackend
from flowrunner.memory.query import MessageChanges, MessageQuery
from flowrunner.testing.memory.helpers import Crew, Helpers
from flowrunner.testing.memory.listing import list_ids
from flowrunner.testing.memory.opening import BackendTests
from flowrunner.testing.memory.promises import since
from flowrunner.testing.memory.record import Record, next_step
from flowrunner.testing.memory.samples import ANN, append_texts, fetch_texts, make_full_message
from flowrunner.testing.memory.threads import Thread

#: What a process is about to do when it is killed, kill by kill.
MOMENTS = ("anything", "move", "append", "edit", "move", "deletion")


class DurableTests(BackendTests):
    """Acknowledged writes survive. For backends that declare ``durable``."""

    group = "crashes"
    mistakes: ClassVar[tuple[str, ...]] = (
        "Writes that stay in a buffer of the process until it is closed.",
        "A move or an edit of several messages that is written message by message.",
        "A lock that a dead process leaves behind.",
        "A server that acknowledges writes that are only in memory, such as Redis without an append-only file.",
        "A client that is open while its server restarts, and fails from then on.",
    )

    @pytest.fixture
    def durable(self, backend: MemoryBackend) -> MemoryBackend:
        """Return the backend, if it says that it keeps what it acknowledged."""
        if not backend.durable:
            pytest.skip("it is not marked durable")
        return backend

    def test_messages_survive_closing_and_opening(
        self, durable: MemoryBackend, open_another: Callable[[], MemoryBackend]
    ) -> None:
        """Messages survive the end of the process, also ``kill -9``."""
        stored = durable.append_messages([make_full_message(session_id="\0 / 🜁") for _ in range(3)])
        durable.delete_messages(MessageQuery(owner=ANN, ids=(stored[1].id or "",)))
        durable.close()
        again = open_another()
        assert again.fetch_messages(MessageQuery(owner=ANN)) == [stored[0], stored[2]]
        append_texts(again, "later", session_id="\0 / 🜁")
        assert fetch_texts(again, session_id="\0 / 🜁", limit=1) == ["later"]

    def test_the_dead_block_nobody(self, durable: MemoryBackend, folder: Path, helpers: Helpers) -> None:
        """Messages survive the end of the process, also ``kill -9``."""
        if not durable.shared:
            pytest.skip("it is not marked shared")
        record = Record()
        kill_after(helpers.start(folder, "write_until_killed", start=0), 9, record)
        append_texts(durable, "after the kill", session_id="later")
        record.check(durable)

    def test_a_kill_loses_doubles_and_disorders_nothing(
        self, durable: MemoryBackend, folder: Path, helpers: Helpers
    ) -> None:
        """All or nothing, even if the process dies in between."""
        durable.close()
        record = Record()
        chance = random.Random(os.environ.get("MEMORY_KIT_SEED", "kill"))
        for number in range(self.kills):
            crew = helpers.start(folder, "write_until_killed", start=record.next)
            moment = MOMENTS[number % len(MOMENTS)]
            kill_after(crew, chance.randint(1, 40), record, before=moment, delay=chance.uniform(0, 2))
            again = self.open_again(folder)
            record.check(again)
            append_texts(again, "after the kill", session_id="later")
            again.close()

    @since(2)
    def test_what_was_acknowledged_survives_a_crash_of_the_server(
        self, durable: MemoryBackend, folder: Path, open_another: Callable[[], MemoryBackend]
    ) -> None:
        """When it returns, the messages are stored: a ``durable`` backend has them on disk."""
        if type(self).crash_store is BackendTests.crash_store:
            pytest.skip("the test class does not define crash_store, which kills the server that stores the messages")
        _, edited, gone = append_texts(durable, "kept", "old", "gone")
        append_texts(durable, "moved", session_id="here")
        durable.update_messages(MessageQuery(owner=ANN, ids=(edited.id or "",)), MessageChanges(text="new"))
        durable.update_messages(MessageQuery(owner=ANN, session_id="here"), MessageChanges(session_id="there"))
        durable.delete_messages(MessageQuery(owner=ANN, ids=(gone.id or "",)))
        told: list[str] = []
        done = threading.Event()
        writing = Thread(lambda: write_until_it_fails(durable, told, done))
        # The crash is to come while somebody writes, who may then fail or go on.
        deadline = time.monotonic() + self.patience
        while len(told) < 5 and time.monotonic() < deadline:
            time.sleep(0.001)
        try:
            self.crash_store(folder)
        finally:
            done.set()
            writing.result(self.patience)
        for backend in (open_another(), durable):
            assert fetch_texts(backend, session_id="talk") == ["kept", "new"]
            assert fetch_texts(backend, session_id="there") == ["moved"]
            found = fetch_texts(backend, session_id="busy")
            assert found[: len(told)] == told, "acknowledged messages are lost"
            assert set(list_ids(backend)) == {"talk", "there", "busy"}
            append_texts(backend, "later", session_id="busy")


def write_until_it_fails(backend: MemoryBackend, told: list[str], done: threading.Event) -> None:
    """Append one message after the other until the store fails, and take down what it acknowledged."""
    while not done.is_set():
        text = str(len(told))
        try:
            append_texts(backend, text, session_id="busy")
        except MemoryFailed:
            return
        told.append(text)


def kill_after(crew: Crew, lines: int, record: Record, before: str = "anything", delay: float = 0.0) -> None:
    """Kill a process when it has told so many lines, and take down all it told.

    :param before: what the process is about to do when it is killed; see :func:`next_step`.
    :param delay: how long to wait then, in times of what a step has taken so far: the kill is to come
        in the middle of the step, however fast the backend and the machine are.
    """
    start, killed = 0.0, False
    for told, line in enumerate(crew, 1):
        record.take(line)
        start = start or time.monotonic()
        if not killed and told >= lines and before in ("anything", next_step(line)):
            time.sleep(delay * (time.monotonic() - start) / told)
            crew.kill()
            killed = True
    assert crew.statuses != [0], "the process ended before it could be killed"
