"""The current memory: the conversations of the run or request that is active."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from flowrunner.errors import NotAllowed
from flowrunner.memory import OwnerMemory

MemorySource = Callable[[], OwnerMemory]

#: What gives the memory of the run, request or ``with`` block that is in progress. A run sets it to the memory of its
#: owner, and it is asked again for each operation, since a run writes what it has collected before others read.
current_memory: Final[ContextVar[MemorySource | None]] = ContextVar("flowrunner_current_memory", default=None)

#: Asked, in order, where nothing is in progress: the site's part says who sends the present request.
_outside: Final[list[Callable[[], OwnerMemory | None]]] = []


@contextmanager
def use_memory(memory: OwnerMemory) -> Iterator[OwnerMemory]:
    """Make the functions of :mod:`flowrunner.memory.conversations` use a memory within a ``with`` block. It

    applies to this thread and to ``asyncio`` tasks created in the block.
    """
    token = current_memory.set(lambda: memory)
    try:
        yield memory
    finally:
        current_memory.reset(token)


def find_memory() -> OwnerMemory:
    """Return the memory of the run, request or ``with use_memory(...)`` block around this call.

    :raises NotAllowed: if there is none, or the caller is unknown.
    """
    source = current_memory.get()
    if source is not None:
        return source()
    for find in _outside:
        found = find()
        if found is not None:
            return found
    raise NotAllowed(
        "There is no current run or request to take the owner of the messages from: pass memory=..., or use 'with"
        " use_memory(...):'."
    )


def ask_outside_of_runs(find: Callable[[], OwnerMemory | None]) -> None:
    """Have a function asked for the memory where no run is in progress; it returns None where it knows none."""
    _outside.append(find)
