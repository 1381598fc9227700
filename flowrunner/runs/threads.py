"""Threads where there may be none left: systems limit them for a process, a user and a container."""

from __future__ import annotations

import threading
from collections.abc import Callable

from flowrunner.errors import TooBusy


def start_thread(target: Callable[[], object], name: str) -> threading.Thread:
    """Start a daemon thread.

    :raises TooBusy: if the system starts no more threads for this process.
    """
    thread = threading.Thread(target=target, name=name, daemon=True)
    try:
        thread.start()
    except RuntimeError as error:
        raise TooBusy("The server cannot start another thread now; try again.") from error
    return thread
