"""Close a runner at process exit, or when neither it nor its app is referenced any more."""

from __future__ import annotations

import atexit
import threading
import weakref
from collections.abc import Callable

from flowrunner.runner import Runner


def close_unheld(runner: Runner) -> None:
    """Close a runner at the end of the process, or once it has been collected together with its app.

    A site whose tests make an app each would otherwise gather open databases. The runner holds its
    app and the app its runner, so whoever holds either has both.
    """
    reference = weakref.ref(runner)

    def close_at_exit() -> None:
        left = reference()
        if left is not None:
            left.close()

    atexit.register(close_at_exit)
    runner.let_go = _letting_go(close_at_exit)


def _letting_go(close_at_exit: Callable[[], None]) -> Callable[[Runner], None]:
    """Return what the collector calls with a runner that nobody holds."""

    def let_go(runner: Runner) -> None:
        atexit.unregister(close_at_exit)
        try:
            # A thread of its own: the collector may have come on one that closing waits for.
            threading.Thread(target=runner.close, name="flowrunner-close", daemon=True).start()
        except RuntimeError:
            # The interpreter is ending and starts no more threads.
            runner.close()

    return let_go
