"""Several threads and processes on one store, and processes that are killed."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from flowrunner.testing.memory.threads import meanwhile, run_in_threads
from flowrunner.testing.vectors.opening import ANN, SHELF, StoreTests, fill, found, ids, make_chunk, query
from flowrunner.vectors import VectorStore

ROUNDS = 12
#: Chunks that a process writes at a time before it is killed.
BATCH = 20


class ThreadTests(StoreTests):
    """Any thread may call anything."""

    group = "threads"

    def test_threads_lose_nothing(self, store: VectorStore) -> None:
        """All operations may be called from any thread."""

        def work(name: int) -> None:
            for n in range(ROUNDS):
                store.upsert_chunks(ANN, SHELF, [make_chunk(n, id=f"{name} {n} {part}") for part in "ab"])
                assert len(found(store, [1, 0, 0, 0], limit=5)) >= 2
                store.upsert_chunks(ANN, f"own {name}", [make_chunk(n)])

        run_in_threads(work, 4)
        stored = ids(store)
        assert len(stored) == len(set(stored)) == 4 * ROUNDS * 2
        for name in range(4):
            own = [one for one in stored if one.startswith(f"{name} ")]
            assert own == [f"{name} {n} {part}" for n in range(ROUNDS) for part in "ab"]
        assert len(found(store, [1, 0, 0, 0], limit=999)) == len(stored)

    def test_readers_see_whole_writes(self, store: VectorStore) -> None:
        """``upsert_chunks`` stores all chunks or none and returns their number."""
        halves: set[int] = set()
        with meanwhile(lambda: halves.add(len(ids(store)) % 10)):
            for n in range(ROUNDS):
                store.upsert_chunks(ANN, SHELF, [make_chunk(n, id=f"{n} {part}") for part in range(10)])
                if n % 3 == 2:
                    store.delete_chunks(query(ids=tuple(f"{n} {part}" for part in range(10))))
        assert halves <= {0}, "a reader saw a part of an upsert or of a deletion"


class SharedTests(StoreTests):
    """Processes use one place. For stores that say ``shared``."""

    group = "processes"

    @pytest.fixture
    def shared(self, store: VectorStore) -> VectorStore:
        """Return the store, if it says that other processes see what it keeps."""
        if not store.shared:
            pytest.skip("it is not marked shared")
        return store

    def test_processes_lose_nothing_and_see_each_other(self, shared: VectorStore, folder: Path) -> None:
        """Other processes that open the same place see the same chunks."""
        workers = [start_worker(self, folder, "rounds", name=f"w{n}", rounds=ROUNDS) for n in range(2)]
        for worker in workers:
            worker.communicate(timeout=120)
            assert worker.returncode == 0, "a process that uses the store failed; its output has the traceback"
        stored = ids(shared)
        assert len(stored) == len(set(stored)) == 2 * ROUNDS * 2
        assert len(found(shared, [1, 0, 0, 0], limit=999)) == len(stored)

    def test_two_in_one_process_are_one_store(self, shared: VectorStore, folder: Path) -> None:
        """Other processes that open the same place see the same chunks."""
        other = self.open_store(folder)
        fill(shared, 3)
        assert found(other, [0, 1, 0, 0], limit=1) == ["c1"]
        other.upsert_chunks(ANN, SHELF, [make_chunk(1, vector=[0, 0, 0, 1])])
        assert found(shared, [0, 0, 0, 1], limit=1) == ["c1"]
        other.delete_chunks(query(ids=("c1",)))
        assert found(shared, [0, 0, 0, 1], limit=9) == found(other, [0, 0, 0, 1], limit=9)
        other.delete_chunks(query())
        assert found(shared, [0, 0, 0, 1]) == []
        fill(other, 2)
        assert len(found(shared, [0, 0, 0, 1])) == 2
        other.close()


class DurableTests(StoreTests):
    """What is acknowledged survives. For stores that say ``durable``."""

    group = "crashes"

    @pytest.fixture
    def durable(self, store: VectorStore) -> VectorStore:
        """Return the store, if it says that it keeps what it acknowledged."""
        if not store.durable:
            pytest.skip("it is not marked durable")
        return store

    def test_chunks_survive_closing_and_opening(self, durable: VectorStore, folder: Path) -> None:
        """Chunks survive the end of the process, also ``kill -9``."""
        fill(durable, 4)
        durable.delete_chunks(query(ids=("c2",)))
        durable.close()
        again = self.open_store(folder)
        assert ids(again) == ["c0", "c1", "c3"]
        assert found(again, [0, 1, 0, 0], limit=1) == ["c1"]
        again.close()

    def test_a_kill_loses_no_write_and_leaves_no_half_of_one(self, durable: VectorStore, folder: Path) -> None:
        """Chunks survive the end of the process, also ``kill -9``."""
        durable.close()
        start = 0
        for number in range(self.kills):
            worker = start_worker(self, folder, "until_killed", start=start)
            assert worker.stdout is not None
            told = [line for line, _ in zip(worker.stdout, range(4 + 3 * number), strict=False)]
            worker.kill()
            told += worker.stdout.readlines()
            worker.wait(60)
            worker.stdout.close()
            # A line that the kill cut off was not told.
            whole = [json.loads(line) for line in told if line.endswith("\n")]
            start = max(line["round"] for line in whole) + 2
            again = self.open_store(folder)
            _check(again, {line["round"]: line["did"] for line in whole})
            again.close()


def _check(store: VectorStore, told: dict[int, str]) -> None:
    stored = ids(store)
    for number, did in told.items():
        count = sum(one.startswith(f"{number} ") for one in stored)
        # The last that was told may have been deleted already, which nobody could tell any more.
        allowed = {0} if did == "deleted" else {BATCH, 0} if number == max(told) else {BATCH}
        assert count in allowed, f"batch {number} was {did}, and {count} of its {BATCH} chunks are stored"
    counts = {one.split(" ")[0]: 0 for one in stored}
    for one in stored:
        counts[one.split(" ")[0]] += 1
    assert set(counts.values()) <= {BATCH}, "a batch is stored in part"
    assert len(found(store, [1, 0, 0, 0], limit=10**6)) == len(stored)


def start_worker(tests: StoreTests, folder: Path, job: str, **order: Any) -> subprocess.Popen[str]:
    """Start a process that opens the store as the tests do, to do a job."""
    order |= {"file": inspect.getfile(type(tests)), "class": type(tests).__qualname__}
    order |= {"folder": str(folder), "job": job}
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    return subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", "flowrunner.testing.vectors.worker", json.dumps(order)],
        stdout=subprocess.PIPE,
        text=True,
        env=environ,
    )
