"""A worker process that uses a vector store: ``python -m flowrunner.testing.vectors.worker``.

It gets one JSON object as its argument: the file and the class of the tests, which know how to open
the store, the folder, and the job. It prints a line for what is done and acknowledged, at once.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flowrunner.testing.memory.worker import load_tests
from flowrunner.testing.vectors.opening import ANN, SHELF, found, make_chunk, query
from flowrunner.testing.vectors.together import BATCH
from flowrunner.vectors import VectorStore


def rounds(store: VectorStore, order: Mapping[str, Any]) -> None:
    """Store so many pairs, searching in between."""
    for n in range(order["rounds"]):
        store.upsert_chunks(ANN, SHELF, [make_chunk(n, id=f"{order['name']} {n} {part}") for part in "ab"])
        if len(found(store, [1, 0, 0, 0], limit=5)) < 2:
            raise AssertionError("a search does not see what was just written")


def until_killed(store: VectorStore, order: Mapping[str, Any]) -> None:
    """Store batches for ever, and delete every third."""
    number = int(order["start"])
    while True:
        names = [f"{number} {part}" for part in range(BATCH)]
        store.upsert_chunks(ANN, SHELF, [make_chunk(n, id=name) for n, name in enumerate(names)])
        _tell(number, "stored")
        if number % 3 == 2:
            store.delete_chunks(query(ids=tuple(names)))
            _tell(number, "deleted")
        number += 1


def _tell(number: int, did: str) -> None:
    sys.stdout.write(json.dumps({"round": number, "did": did}) + "\n")
    sys.stdout.flush()


JOBS = {"rounds": rounds, "until_killed": until_killed}


def main() -> None:
    """Do what the argument says."""
    order = json.loads(sys.argv[1])
    store = load_tests(Path(order["file"]), order["class"]).open_store(Path(order["folder"]))
    JOBS[order["job"]](store, order)
    store.close()


if __name__ == "__main__":
    main()
