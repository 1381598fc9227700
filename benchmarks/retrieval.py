"""What the vector store ``local`` costs: ``python benchmarks/retrieval.py [--help]``.

Chunks are stored and searched by the store, and by hand, in turns within one run. By hand means numpy
and ``sqlite3`` alone, with the same promise: rows that survive a crash, with the same table and indexes,
vectors in memory for searching, a question to the file whether somebody else has written, and the texts
of the nearest read from it. Prints both times and their ratio; the budget is 1.3.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import statistics
import tempfile
import time
from array import array
from collections.abc import Callable, Sequence
from functools import partial
from operator import truediv
from pathlib import Path
from typing import Any

import numpy as np
from flowrunner_retrieval.local_store.store import LocalVectors
from sqlalchemy import URL

from flowrunner import Chunk, OwnerVectors
from flowrunner.store.engine import make_engine
from flowrunner.vectors import Vectors

BUDGET = 1.3
NEAREST = 4
#: Chunks that are stored at a time, as an ingestion does it.
STEP = 1000
_TABLE = (
    "CREATE TABLE chunks (seq INTEGER PRIMARY KEY AUTOINCREMENT, collection INTEGER NOT NULL, id TEXT NOT NULL,"
    " document TEXT NOT NULL, text TEXT NOT NULL, metadata TEXT NOT NULL, vector BLOB NOT NULL,"
    " UNIQUE (collection, id));"
    " CREATE INDEX documents ON chunks (collection, document);"
)


class ByHand:
    """The same in numpy and ``sqlite3``."""

    def __init__(self, path: Path, dimensions: int) -> None:
        self._file = sqlite3.connect(path, isolation_level=None)
        self._file.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;" + _TABLE)
        self._dimensions = dimensions
        self._version: int | None = None
        self._seqs: Any = None
        self._vectors: Any = None

    def store(self, chunks: Sequence[Chunk]) -> None:
        """Store chunks, all or none."""
        vectors = np.asarray([chunk.vector for chunk in chunks], dtype=np.float32)
        assert np.isfinite(vectors).all()
        self._file.execute("BEGIN IMMEDIATE")
        self._file.executemany(
            "INSERT INTO chunks (collection, id, document, text, metadata, vector) VALUES (1, ?, ?, ?, ?, ?)"
            " ON CONFLICT (collection, id) DO UPDATE SET document = excluded.document, text = excluded.text,"
            " metadata = excluded.metadata, vector = excluded.vector",
            [
                (chunk.id, chunk.document, chunk.text, json.dumps(chunk.metadata), row.tobytes())
                for chunk, row in zip(chunks, vectors, strict=True)
            ],
        )
        self._file.execute("COMMIT")
        self._version = None

    def search(self, vector: Sequence[float]) -> list[tuple[float, Chunk]]:
        """Return the nearest chunks."""
        self._file.execute("BEGIN")
        (version,) = self._file.execute("PRAGMA data_version").fetchone()
        if version != self._version:
            self._read()
            self._version = version
        asked = np.asarray(vector, dtype=np.float32)
        asked /= np.linalg.norm(asked)
        scores = self._vectors @ asked
        places = np.argpartition(-scores, NEAREST)[:NEAREST]
        places = places[np.argsort(-scores[places])]
        seqs = self._seqs[places].tolist()
        marks = ",".join("?" * len(seqs))
        rows = self._file.execute(
            f"SELECT seq, id, text, document, metadata, vector FROM chunks WHERE seq IN ({marks})", seqs
        ).fetchall()
        self._file.execute("COMMIT")
        found = {row[0]: row for row in rows}
        return [
            (float(scores[place]), Chunk(row[1], row[2], array("f", row[5]), row[3], json.loads(row[4])))
            for place, seq in zip(places, seqs, strict=True)
            for row in (found[seq],)
        ]

    def _read(self) -> None:
        rows = self._file.execute("SELECT seq, vector FROM chunks ORDER BY seq").fetchall()
        self._seqs = np.array([row[0] for row in rows])
        vectors = np.frombuffer(b"".join([row[1] for row in rows]), dtype=np.float32).reshape(-1, self._dimensions)
        self._vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def make_chunks(count: int, dimensions: int) -> list[Chunk]:
    """Return chunks with texts of about 500 characters."""
    numbers = np.random.default_rng(1).standard_normal((count, dimensions), dtype=np.float32)
    text = "What the guests of the house ask most is when breakfast is served. " * 7
    return [
        Chunk(f"chunk-{n}", f"{n} {text}", array("f", row.tobytes()), f"file-{n // 100}.txt", {"page": n % 100})
        for n, row in enumerate(numbers)
    ]


def seconds(act: Callable[[], object]) -> float:
    """Return how long something takes."""
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


def stored(store: Callable[[Sequence[Chunk]], object], chunks: Sequence[Chunk]) -> Callable[[], None]:
    """Return what stores chunks step by step."""

    def act() -> None:
        for start in range(0, len(chunks), STEP):
            store(chunks[start : start + STEP])

    return act


def asked_for(search: Callable[[Sequence[float]], object], vectors: Sequence[Sequence[float]]) -> None:
    """Search for one vector after the other."""
    for vector in vectors:
        search(vector)


def measure(count: int, dimensions: int, rounds: int) -> list[tuple[str, float, float, float]]:
    """Return what was measured: what, by hand, by the store, and the median of the ratios of pairs of rounds."""
    chunks = make_chunks(count, dimensions)
    questions = np.random.default_rng(2).standard_normal((1000, dimensions), dtype=np.float32).tolist()
    ingests: tuple[list[float], list[float]] = ([], [])
    searches: tuple[list[float], list[float]] = ([], [])
    with tempfile.TemporaryDirectory(prefix="retrieval-") as folder:
        for number in range(max(1, min(rounds, 300_000 // count))):
            hand = ByHand(Path(folder, f"hand-{number}.db"), dimensions)
            engine = make_engine(URL.create("sqlite", database=str(Path(folder, f"store-{number}.db"))))
            vectors = Vectors("local", lambda engine=engine: LocalVectors(engine))
            owned = OwnerVectors(vectors, "owner")
            owned.collections()
            for store, taken in ((hand.store, ingests[0]), (partial(owned.upsert, "c"), ingests[1])):
                taken.append(seconds(stored(store, chunks)))
        assert [hit.chunk for hit in owned.search("c", questions[0])] == [
            chunk for _, chunk in hand.search(questions[0])
        ]
        each = 200 if count <= 10_000 else 20
        for number in range(rounds):
            asked = questions[number * each % 800 :][:each]
            for search, taken in ((hand.search, searches[0]), (partial(owned.search, "c"), searches[1])):
                taken.append(seconds(partial(asked_for, search, asked)) / each)
        vectors.close()
        engine.dispose()
    return [(what, *_medians(taken)) for what, taken in (("ingest", ingests), ("search", searches))]


def _medians(taken: tuple[list[float], list[float]]) -> tuple[float, float, float]:
    hand, ours = taken
    return statistics.median(hand), statistics.median(ours), statistics.median(map(truediv, ours, hand))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chunks", type=int, nargs="+", default=[1_000, 100_000])
    parser.add_argument("--dimensions", type=int, default=384)
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    print(f"{'chunks':>8}  {'':8}{'by hand':>12}{'store':>12}{'ratio':>8}   budget {BUDGET}")
    for count in arguments.chunks:
        for what, hand, ours, ratio in measure(count, arguments.dimensions, arguments.rounds):
            print(f"{count:8}  {what:8}{hand * 1000:10.3f}ms{ours * 1000:10.3f}ms{ratio:8.2f}")


if __name__ == "__main__":
    main()
