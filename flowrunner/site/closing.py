"""Close a runner at process exit, or when neither it nor its app is referenced any more."""

from __future__ import annotations

import atexit
import threading
import weakref
from contextlib import ExitStack
from functools import cache
from typing import Final

from flowrunner.runner import Runner

_open: Final[weakref.WeakSet[Runner]] = weakref.WeakSet()


def close_unheld(runner: Runner) -> None:
    """Close a runner at the end of the process, or when it is garbage-collected together with its app.

    Otherwise, a test suite that creates an app per test would accumulate open databases. App and runner refer to each
    other, so both live as long as one of them is used.
    """
    _open.add(runner)
    _close_at_exit()
    runner.let_go = _let_go


@cache
def _close_at_exit() -> None:
    """Have the runners that are there at the end of the process closed; what is registered is kept for good."""
    atexit.register(_close_all)


def _close_all() -> None:
    # One that cannot be closed keeps no other open.
    with ExitStack() as closing:
        for runner in list(_open):
            closing.callback(runner.close)


def _let_go(runner: Runner) -> None:
    """Close a runner that nobody holds; the collector calls this."""
    try:
        # On another thread: the collector may run on a thread that closing waits for.
        threading.Thread(target=runner.close, name="flowrunner-close", daemon=True).start()
    except RuntimeError:
        # The interpreter is shutting down and starts no more threads.
        runner.close()
