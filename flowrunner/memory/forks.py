"""What begins afresh in a forked child."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable


def after_fork(begin: Callable[[], None]) -> None:
    """Call a method in each child that this process forks, as long as its object is in use.

    Locks that a thread of the parent held, connections and threads are of no use in a child: what has any
    makes its own there.

    :param begin: a bound method; its object is not kept alive.
    """
    reference = weakref.WeakMethod(begin)

    def call() -> None:
        found = reference()
        if found is not None:
            found()

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=call)
