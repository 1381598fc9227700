"""Worker processes that use a backend: ``python -m flowrunner.testing.memory.worker FILE``.

The tests start one process for each file, and write it an order in a line of JSON whenever they
want others to work: the class of tests, the job, the folder, the environment, and how many are to do
it. It forks that many children before any of them opens the backend, so that an interpreter starts
once and not with every order. The children print a line for whatever is done and acknowledged, at
once.
"""

from __future__ import annotations

import importlib.util
import json
import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from flowrunner.testing.memory.jobs import JOBS, tell


def load_tests(file: Path, name: str) -> Any:
    """Return an instance of the class of tests, whose ``open_backend`` opens the backend.

    :param name: the qualified name of the class, or of a function that opens a backend.
    """
    return find_tests(load_module(file), name)


def load_module(file: Path) -> ModuleType:
    """Import a file of tests."""
    spec = importlib.util.spec_from_file_location("tests_of_a_backend", file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def find_tests(module: ModuleType, name: str) -> Any:
    """Return an instance of the class of tests in a module that is loaded."""
    found: Any = module
    for part in name.split("."):
        found = getattr(found, part)
    return found() if isinstance(found, type) else OpenedByFunction(found)


class OpenedByFunction:
    """What a process needs of a class of tests, where a function alone opens the backend."""

    def __init__(self, function: Any) -> None:
        self._function = function

    def open_again(self, folder: Path) -> Any:
        """Open the backend."""
        return self._function(folder)


def orders() -> Iterator[Mapping[str, Any]]:
    """Yield what the tests want done, until they are over."""
    # Read by the system's own means: a child must not find lines in a buffer that are not for it.
    rest = b""
    while piece := os.read(0, 65536):
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            yield json.loads(line)


def work(module: ModuleType, order: Mapping[str, Any], barrier: Any) -> int:
    """Open the backend and do the job in a child; return its exit status."""
    try:
        os.environ.clear()
        os.environ.update(order["environ"])
        backend = find_tests(module, order["tests"]).open_again(Path(order["folder"]))
        tell("open", order["number"], os.getpid())
        JOBS[order["job"]](backend, {**order, "barrier": barrier})
        backend.close()
    except BaseException:
        barrier.abort()
        tell("failed", json.dumps(traceback.format_exc()[-3000:]))
        return 1
    return 0


def serve(module: ModuleType) -> None:
    """Do order after order: fork the children, wait for them, and tell how they ended."""
    for order in orders():
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
        barrier = multiprocessing.get_context("fork").Barrier(order["crew"])
        children = []
        for number in range(order["crew"]):
            child = os.fork()
            if child == 0:
                status = 1
                try:
                    status = work(module, {**order, "number": number}, barrier)
                finally:
                    os._exit(status)
            children.append(child)
        statuses = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        tell("ended", *statuses)


def main() -> None:
    """Load the tests, or say why they cannot be, and serve."""
    (file,) = sys.argv[1:]
    try:
        module = load_module(Path(file))
    except Exception:
        tell("failed", json.dumps(traceback.format_exc()[-3000:]))
        return
    serve(module)


if __name__ == "__main__":
    main()
