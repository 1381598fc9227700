"""What the memory backends cost: ``python benchmarks/memory.py [--help]``.

Three questions, each answered as ratios within one run, because absolute times are the machine's:

* A turn (two messages, one durable commit) against the same work in plain ``sqlite3`` and in the ORM.
* Reads, renames, deletions and searches as the store grows: 10,000 rows, a million, ten million.
* Sixteen writers that share commits against sixteen that commit each for themselves.
"""

from __future__ import annotations

import argparse
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

from flowrunner_file_json.backend import FileJson
from flowrunner_in_memory import InMemory
from flowrunner_sqlite.backend import SqliteMemory
from memory_limits import OrmTurns, PlainTurns, message_of_a_turn
from sqlalchemy import URL

from flowrunner import MemoryBackend, MessageChanges, MessageQuery, SessionQuery
from flowrunner.store.engine import make_engine

OWNER, FLOW = "local", "5f0c1f38-6e3c-4a55-9d3e-0c7a3d7f3c11"
PER_SESSION = 50
IN_USE = 100
WRITERS = 16

Opener = Callable[[Path], MemoryBackend]

BACKENDS: dict[str, Opener] = {
    "sqlite": lambda folder: SqliteMemory(make_engine(URL.create("sqlite", database=str(folder / "messages.db")))),
    "file-json": FileJson,
    "in-memory": lambda folder: InMemory(),
}


@contextmanager
def folder_for(base: Path | None) -> Iterator[Path]:
    """Make a folder on the disk that is measured, and remove it."""
    folder = Path(tempfile.mkdtemp(prefix="memory-", dir=base))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def append_turn(backend: MemoryBackend, n: int) -> None:
    """Store what one run stores: a message of the user and one of the machine."""
    backend.append_messages([message_of_a_turn(n, part) for part in (0, 1)])


# A turn, against the limit


def compare_turns(base: Path | None, turns: int, rounds: int) -> None:
    """Print CPU and wall time of a turn, per backend, as medians of paired rounds."""
    with folder_for(base) as folder:
        contenders: dict[str, Callable[[int], object]] = {"sqlite3, no more": PlainTurns(folder / "plain.db").append}
        for name, open_backend in BACKENDS.items():
            place = folder / name
            place.mkdir()
            backend = open_backend(place)
            contenders[name] = lambda n, backend=backend: append_turn(backend, n)
        contenders["the ORM"] = OrmTurns(folder / "orm.db").append
        cpu: dict[str, list[float]] = {name: [] for name in contenders}
        wall: dict[str, list[float]] = {name: [] for name in contenders}
        for number in range(rounds):
            for name, append in contenders.items():
                started, spent = time.perf_counter(), time.process_time()
                for n in range(number * turns, (number + 1) * turns):
                    append(n)
                cpu[name].append((time.process_time() - spent) / turns)
                wall[name].append((time.perf_counter() - started) / turns)
    print(f"\nA turn: two messages, one commit ({rounds} rounds of {turns})\n")
    print(f"{'':20}{'CPU us':>10}{'ratio':>8}{'wall us':>10}{'ratio':>8}")
    for name in contenders:
        print(
            f"{name:20}{median_us(cpu[name]):10.0f}{ratio(cpu, name):8.2f}"
            f"{median_us(wall[name]):10.0f}{ratio(wall, name):8.2f}"
        )


def median_us(times: list[float]) -> float:
    """Return the median in microseconds."""
    return statistics.median(times) * 1e6


def ratio(times: dict[str, list[float]], name: str) -> float:
    """Return the median of the rounds' ratios to the first contender."""
    first = next(iter(times))
    return statistics.median(a / b for a, b in zip(times[name], times[first], strict=True))


# Growth


def fill(backend: MemoryBackend, rows: int) -> None:
    """Store so many messages, in sessions of fifty; one message in two hundred has a rare word."""

    def store(session: int) -> None:
        backend.append_messages(
            [
                message_of_a_turn(session * PER_SESSION + n, n % 2, session_id=f"session-{session}")
                for n in range(PER_SESSION)
            ]
        )

    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(store, range(rows // PER_SESSION)))


def operations(backend: MemoryBackend, rows: int) -> dict[str, Callable[[int], object]]:
    """Return what is measured: each operation, with the number of the call.

    Sessions are read that are in use: always equally many, spread over the whole store, so that what
    grows is the store and not what its caches must hold. They have been read before: a small store
    has all of its sessions at hand from being filled, and what a first reading costs is no matter of size.
    """
    chance = random.Random(rows)
    sessions = rows // PER_SESSION
    in_use = [number * sessions // (2 * IN_USE) for number in range(IN_USE)]
    for number in in_use:
        backend.fetch_messages(MessageQuery(owner=OWNER, session_id=f"session-{number}", limit=20))

    def any_session(n: int) -> str:
        return f"session-{chance.choice(in_use)}"

    def newest(n: int) -> MessageQuery:
        return MessageQuery(owner=OWNER, session_id=any_session(n), limit=20)

    last = {"sessions": sessions}

    def take_session() -> str:
        last["sessions"] -= 1
        return f"session-{last['sessions']}"

    return {
        "newest 20 of a session": lambda n: backend.fetch_messages(newest(n)),
        "newest 20 of a flow": lambda n: backend.fetch_messages(MessageQuery(owner=OWNER, flow_id=FLOW, limit=20)),
        "page of sessions": lambda n: backend.list_sessions(SessionQuery(owner=OWNER, limit=20)),
        "page of sessions, flow": lambda n: backend.list_sessions(SessionQuery(owner=OWNER, flow_id=FLOW, limit=20)),
        "search, newest 20": lambda n: backend.fetch_messages(MessageQuery(owner=OWNER, text="zebra", limit=20)),
        "rename a session": lambda n: backend.update_messages(
            MessageQuery(owner=OWNER, session_id=take_session()), MessageChanges(session_id=f"renamed-{n}")
        ),
        "delete a session": lambda n: backend.delete_messages(MessageQuery(owner=OWNER, session_id=take_session())),
        "append a turn": lambda n: append_turn(backend, rows + n),
    }


def compare_sizes(base: Path | None, names: list[str], sizes: list[int], calls: int) -> None:
    """Print the time of each operation at each size, and its ratio to the smallest."""
    print(f"\nGrowth: median of {calls} calls in ms, and as a multiple of that at {sizes[0]:,} rows\n")
    for name in names:
        with ExitStack() as opened:
            stores = [open_filled(opened, base, name, rows) for rows in sizes]
            for what in stores[0]:
                times = median_times([store[what] for store in stores], calls)
                shown = "".join(f"{t * 1e3:10.3f} ({t / times[0]:5.2f} x)" for t in times)
                print(f"  {what:24}{shown}", flush=True)


def open_filled(opened: ExitStack, base: Path | None, name: str, rows: int) -> dict[str, Callable[[int], object]]:
    """Open and fill a store, and return its operations."""
    backend = BACKENDS[name](opened.enter_context(folder_for(base)))
    opened.callback(backend.close)
    started = time.perf_counter()
    fill(backend, rows)
    index = getattr(backend, "_index", None)
    if index is not None:
        # The store in use is measured, not the first search of an old one.
        backend.fetch_messages(MessageQuery(owner=OWNER, text="zebra", limit=1))
        index.catch_up(rows)
    print(f"{name}: {rows:,} rows stored in {time.perf_counter() - started:.0f} s", flush=True)
    return operations(backend, rows)


def median_times(contenders: list[Callable[[int], object]], calls: int) -> list[float]:
    """Return the median time of the same call to several stores, one after the other each time."""
    times: list[list[float]] = [[] for _ in contenders]
    for n in range(-10, calls):
        for call, taken in zip(contenders, times, strict=True):
            started = time.perf_counter()
            call(n)
            if n >= 0:
                taken.append(time.perf_counter() - started)
    return [statistics.median(taken) for taken in times]


# Sixteen writers


def compare_writers(base: Path | None, turns: int, rounds: int) -> None:
    """Print turns per second of sixteen threads that share commits, and of sixteen that do not."""
    gained = []
    print(f"\n{WRITERS} writers, each turn durable: turns per second\n")
    for _ in range(rounds):
        with folder_for(base) as folder:
            backend = BACKENDS["sqlite"](folder)
            shared = throughput(lambda n, backend=backend: append_turn(backend, n), turns)
            backend.close()
            alone = throughput(PlainTurns(folder / "plain.db").append_with_own_connection, turns)
            gained.append(shared / alone)
            print(f"  shared commits {shared:8.0f}    one commit per writer {alone:8.0f}    {shared / alone:5.2f} x")
    print(f"  median {statistics.median(gained):.2f} x")


def throughput(append: Callable[[int], object], turns: int) -> float:
    """Return how many turns a second sixteen threads get done."""
    started = time.perf_counter()
    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(append, range(turns)))
    return turns / (time.perf_counter() - started)


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", choices=["turns", "sizes", "writers", []], help="default: all three")
    parser.add_argument("--backends", nargs="+", choices=list(BACKENDS), default=list(BACKENDS))
    parser.add_argument("--sizes", nargs="+", type=int, default=[10_000, 1_000_000])
    parser.add_argument("--ten-million", action="store_true", help="measure at ten million rows, too: takes long")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--turns", type=int, default=300)
    parser.add_argument("--calls", type=int, default=50)
    parser.add_argument("--folder", type=Path, help="a folder on the disk to measure; default: the system's own")
    asked = parser.parse_args()
    what = asked.what or ["turns", "sizes", "writers"]
    if "turns" in what:
        compare_turns(asked.folder, asked.turns, asked.rounds)
    if "writers" in what:
        compare_writers(asked.folder, asked.turns * 4, asked.rounds)
    if "sizes" in what:
        sizes = [*asked.sizes, *([10_000_000] if asked.ten_million else [])]
        compare_sizes(asked.folder, asked.backends, sizes, asked.calls)


if __name__ == "__main__":
    main()
