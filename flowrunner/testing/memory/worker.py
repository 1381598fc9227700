"""A process of its own that uses a backend, started by the tests: ``python -m flowrunner.testing.memory.worker``.

It gets one JSON object as its argument: the file and the class of the tests, which know how to open
the backend, the folder, and the job. It prints a line for whatever is done and acknowledged, at once.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from flowrunner.errors import MessageInvalid
from flowrunner.memory import MemoryBackend
from flowrunner.memory.query import MessageChanges, MessageQuery
from flowrunner.testing.memory.samples import ANN, append_texts, make_message


def tell(*words: object) -> None:
    """Print a line that the test reads at once."""
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def append_rounds(backend: MemoryBackend, order: Mapping[str, Any]) -> None:
    """Append so many pairs to the session, and others beside it."""
    name = order["name"]
    for n in range(order["rounds"]):
        backend.append_messages([make_message(f"{name} {n} {part}", id=f"{name} {n} {part}") for part in "ab"])
        append_texts(backend, "beside", session_id=f"beside {name}", id=f"{name} {n} beside")


def race_for_ids(backend: MemoryBackend, order: Mapping[str, Any]) -> None:
    """Append ids that other processes append too, and tell which ones were got."""
    for n in range(order["rounds"]):
        try:
            append_texts(backend, order["name"], id=f"id {n}", session_id=order["name"])
        except MessageInvalid:
            continue
        tell(n)


def write_until_killed(backend: MemoryBackend, order: Mapping[str, Any]) -> None:
    """Append batches of three, change them, and move them over in between, for ever."""
    n = int(order["start"])
    while True:
        ids = [f"{n} {part}" for part in "abc"]
        backend.append_messages([make_message(f"{n}", "live", id=i, run_id=str(n)) for i in ids])
        tell("appended", n)
        if n % 5 == 4:
            backend.update_messages(MessageQuery(owner=ANN, session_id="live"), MessageChanges(session_id="archive"))
            tell("moved", n)
        if n % 7 == 6:
            backend.update_messages(MessageQuery(owner=ANN, run_id=str(n)), MessageChanges(sender_name=f"edited {n}"))
            tell("edited", n)
        if n % 11 == 10:
            backend.delete_messages(MessageQuery(owner=ANN, run_id=str(n)))
            tell("deleted", n)
        n += 1


def fork_and_append(backend: MemoryBackend, order: Mapping[str, Any]) -> None:
    """Use the backend in a parent and its children, as a server does that opens it before it forks."""
    append_texts(backend, "before the fork", id="before the fork")
    children = []
    for child in range(3):
        process = os.fork()
        if process == 0:
            status = 1
            try:
                append_rounds(backend, {"name": f"child{child}", "rounds": order["rounds"]})
                status = 0
            finally:
                os._exit(status)
        children.append(process)
    append_rounds(backend, {"name": "parent", "rounds": order["rounds"]})
    for process in children:
        tell("status", os.waitpid(process, 0)[1])


JOBS: Mapping[str, Callable[[MemoryBackend, Mapping[str, Any]], None]] = {
    job.__name__: job for job in (append_rounds, race_for_ids, write_until_killed, fork_and_append)
}


def load_tests(file: Path, name: str) -> Any:
    """Return an instance of the class of tests, whose ``open_backend`` opens the backend."""
    spec = importlib.util.spec_from_file_location("tests_of_a_backend", file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    found: Any = module
    for part in name.split("."):
        found = getattr(found, part)
    return found()


def main() -> None:
    """Do what the argument says."""
    order = json.loads(sys.argv[1])
    tests = load_tests(Path(order["file"]), order["class"])
    backend = tests.open_again(Path(order["folder"]))
    tell("open")
    JOBS[order["job"]](backend, order)
    backend.close()


if __name__ == "__main__":
    main()
