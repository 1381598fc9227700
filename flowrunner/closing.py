"""Closing a runner when its app is gone, or at the end of the process."""

from __future__ import annotations

import atexit
import threading
import weakref
from typing import Any

from flowrunner.runner import Runner


def close_with_app(app: Any, runner: Runner) -> None:
    """Close a runner at the end of the process, or when its app has been collected: a site whose
    tests make an app each would otherwise gather open databases.
    """
    atexit.register(runner.close)
    weakref.finalize(app, _let_go, runner).atexit = False


def _let_go(runner: Runner) -> None:
    """Close on a thread of its own: the collector may have come on one that closing waits for."""
    atexit.unregister(runner.close)
    try:
        threading.Thread(target=runner.close, name="flowrunner-close", daemon=True).start()
    except RuntimeError:
        # The interpreter is ending and starts no more threads.
        runner.close()
