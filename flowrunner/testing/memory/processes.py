"""Several processes on one store, and processes that die."""

from __future__ import annotations

import inspect
import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from flowrunner.memory import MemoryBackend
from flowrunner.memory.query import MessageQuery, SessionQuery
from flowrunner.testing.memory.opening import BackendTests
from flowrunner.testing.memory.record import Record, next_step
from flowrunner.testing.memory.samples import ANN, append_texts, fetch_texts, make_full_message
from flowrunner.testing.memory.threads import follow, follow_to_the_end, meanwhile

PROCESSES = 4
#: What a process is about to do when it is killed, kill by kill.
MOMENTS = ("anything", "move", "append", "edit", "move", "deletion")
ROUNDS = 15


def start_worker(tests: BackendTests, folder: Path, job: str, **order: Any) -> subprocess.Popen[str]:
    """Start a process that opens the backend as the tests do, to do a job."""
    order |= {"file": inspect.getfile(type(tests)), "class": type(tests).__qualname__}
    order |= {"folder": str(folder), "job": job}
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    return subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", "flowrunner.testing.memory.worker", json.dumps(order)],
        stdout=subprocess.PIPE,
        text=True,
        env=environ,
    )


def finish(worker: subprocess.Popen[str]) -> list[str]:
    """Wait for a process and return the lines that it told.

    :raises AssertionError: if it failed; its error is on the standard error output.
    """
    told, _ = worker.communicate(timeout=120)
    assert worker.returncode == 0, f"a process of the test failed with {worker.returncode}, see its error output"
    return told.splitlines()[1:]


class SharedTests(BackendTests):
    """Four processes use one place. For backends that say ``shared``."""

    group = "processes"

    @pytest.fixture
    def shared(self, backend: MemoryBackend) -> MemoryBackend:
        """Return the backend, if it says that other processes see what it stores."""
        if not backend.shared:
            pytest.skip("it does not say that it is shared")
        return backend

    def test_processes_lose_double_and_disorder_nothing(self, shared: MemoryBackend, folder: Path) -> None:
        (first,) = append_texts(shared, "first")
        seen: list[str] = []
        with meanwhile(lambda: follow(shared, seen, first.id or "")):
            workers = [
                start_worker(self, folder, "append_rounds", name=f"w{n}", rounds=ROUNDS) for n in range(PROCESSES)
            ]
            for worker in workers:
                finish(worker)
        texts = fetch_texts(shared, session_id="talk")[1:]
        assert len(texts) == len(set(texts)) == PROCESSES * ROUNDS * 2
        for n in range(PROCESSES):
            own = [text for text in texts if text.startswith(f"w{n} ")]
            assert own == [f"w{n} {m} {part}" for m in range(ROUNDS) for part in "ab"]
            assert len(fetch_texts(shared, session_id=f"beside w{n}")) == ROUNDS
        follow_to_the_end(shared, seen, first.id or "")
        assert seen == [message.id for message in shared.fetch_messages(MessageQuery(owner=ANN))][1:]

    def test_the_list_of_sessions_knows_other_processes(self, shared: MemoryBackend, folder: Path) -> None:
        append_texts(shared, "first")
        finish(start_worker(self, folder, "append_rounds", name="w", rounds=2))
        found = shared.list_sessions(SessionQuery(owner=ANN))
        assert [(summary.session_id, summary.count) for summary in found] == [("beside w", 2), ("talk", 5)]

    def test_one_process_of_many_gets_an_id(self, shared: MemoryBackend, folder: Path) -> None:
        workers = [start_worker(self, folder, "race_for_ids", name=f"w{n}", rounds=ROUNDS) for n in range(PROCESSES)]
        won = Counter(line for worker in workers for line in finish(worker))
        assert won == {str(n): 1 for n in range(ROUNDS)}
        assert len(fetch_texts(shared)) == ROUNDS

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
    def test_children_of_a_process_can_go_on(self, shared: MemoryBackend, folder: Path) -> None:
        told = finish(start_worker(self, folder, "fork_and_append", rounds=5))
        assert told == ["status 0"] * 3
        assert len(fetch_texts(shared, session_id="talk")) == 1 + 4 * 5 * 2

    def test_two_backends_in_one_process_are_one_store(self, shared: MemoryBackend, folder: Path) -> None:
        other = self.open_again(folder)
        for n in range(6):
            append_texts((shared, other)[n % 2], str(n))
        assert fetch_texts(shared) == fetch_texts(other) == [str(n) for n in range(6)]
        other.delete_messages(MessageQuery(owner=ANN, limit=1))
        assert fetch_texts(shared) == [str(n) for n in range(5)]
        other.close()


class DurableTests(BackendTests):
    """What is acknowledged survives. For backends that say ``durable``."""

    group = "crashes"

    @pytest.fixture
    def durable(self, backend: MemoryBackend) -> MemoryBackend:
        """Return the backend, if it says that it keeps what it acknowledged."""
        if not backend.durable:
            pytest.skip("it does not say that it is durable")
        return backend

    def test_messages_survive_closing_and_opening(self, durable: MemoryBackend, folder: Path) -> None:
        stored = durable.append_messages([make_full_message(session_id="\0 / 🜁") for _ in range(3)])
        durable.delete_messages(MessageQuery(owner=ANN, ids=(stored[1].id or "",)))
        durable.close()
        again = self.open_again(folder)
        assert again.fetch_messages(MessageQuery(owner=ANN)) == [stored[0], stored[2]]
        append_texts(again, "later", session_id="\0 / 🜁")
        assert fetch_texts(again, session_id="\0 / 🜁", limit=1) == ["later"]
        again.close()

    def test_a_kill_loses_doubles_and_disorders_nothing(self, durable: MemoryBackend, folder: Path) -> None:
        durable.close()
        record = Record()
        chance = random.Random(os.environ.get("MEMORY_KIT_SEED", "kill"))
        for number in range(self.kills):
            worker = start_worker(self, folder, "write_until_killed", start=record.next)
            moment = MOMENTS[number % len(MOMENTS)]
            kill_after(worker, chance.randint(1, 40), record, before=moment, delay=chance.uniform(0, 2))
            again = self.open_again(folder)
            record.check(again)
            append_texts(again, "after the kill", session_id="later")
            again.close()

    def test_the_dead_block_nobody(self, durable: MemoryBackend, folder: Path) -> None:
        if not durable.shared:
            pytest.skip("it does not say that it is shared")
        record = Record()
        worker = start_worker(self, folder, "write_until_killed", start=0)
        kill_after(worker, 9, record)
        append_texts(durable, "after the kill", session_id="later")
        record.check(durable)


def kill_after(
    worker: subprocess.Popen[str], lines: int, record: Record, before: str = "anything", delay: float = 0.0
) -> None:
    """Kill a process when it has told so many lines, and take down all it told.

    :param before: what the process is about to do when it is killed; see :func:`next_step`.
    :param delay: how long to wait then, in times of what a step has taken so far: the kill is to come
        in the middle of the step, however fast the backend and the machine are.
    """
    assert worker.stdout is not None
    start = 0.0
    for told, line in enumerate(worker.stdout, 1):
        record.take(line)
        start = start or time.monotonic()
        if told >= lines and before in ("anything", next_step(line)):
            time.sleep(delay * (time.monotonic() - start) / told)
            worker.kill()
    assert worker.wait(60) != 0, "the process that was to be killed ended by itself"
    worker.stdout.close()
