"""What begins afresh in a forked child."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from contextlib import ExitStack
from itertools import count
from types import MethodType
from typing import Any, Final

#: What is called in a child, in the order in which it was registered here, without what has been collected.
#: Each as its object and its function: a ``WeakMethod`` fails if both are collected at once.
_waiting: Final[dict[int, tuple[weakref.ref[Any], weakref.ref[Any]]]] = {}
_numbers: Final = count()


def after_fork(begin: Callable[[], None]) -> None:
    """Call a method in each child that this process forks, as long as its object is in use.

    Locks that a thread of the parent held, connections and threads are of no use in a child: what has any
    makes its own there.

    :param begin: a bound method; its object is not kept alive.
    :raises TypeError: for anything else.
    """
    if not isinstance(begin, MethodType):
        raise TypeError("after_fork takes a bound method")
    number = next(_numbers)
    owner = weakref.ref(begin.__self__, lambda _: _waiting.pop(number, None))
    _waiting[number] = owner, weakref.ref(begin.__func__)


def _begin_all() -> None:
    # One that fails, such as a plugin's, keeps none of the others from beginning.
    with ExitStack() as beginning:
        for owner, act in reversed(list(_waiting.values())):
            found, begin = owner(), act()
            if found is not None and begin is not None:
                beginning.callback(begin, found)


# Once for all: the system never forgets what is registered with it, and a test suite makes thousands of runners.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_all)
