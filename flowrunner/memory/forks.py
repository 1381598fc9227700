"""What begins afresh in a forked child."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from itertools import count
from typing import Any, Final

#: What is called in a child, in the order in which it was registered here, without what has been collected.
_waiting: Final[dict[int, weakref.WeakMethod[Callable[[], Any]]]] = {}
_numbers: Final = count()


def after_fork(begin: Callable[[], None]) -> None:
    """Call a method in each child that this process forks, as long as its object is in use.

    Locks that a thread of the parent held, connections and threads are of no use in a child: what has any
    makes its own there.

    :param begin: a bound method; its object is not kept alive.
    """
    number = next(_numbers)
    _waiting[number] = weakref.WeakMethod(begin, lambda _: _waiting.pop(number, None))


def _begin_all() -> None:
    for reference in list(_waiting.values()):
        begin = reference()
        if begin is not None:
            begin()


# Once for all: the system never forgets what is registered with it, and a test suite makes thousands of runners.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_all)
