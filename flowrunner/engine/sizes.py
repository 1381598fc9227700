"""Limit the size of component outputs; a run that exceeds it is stopped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from flowrunner.memory.message import Message
from flowrunner.text.budget import too_long

#: The limit of a whole run, as a multiple of the limit of one component.
_TIMES: Final = 10
#: Smaller outputs are not counted for the run: there are at most as many as vertices.
_SMALL: Final = 10_000


class OutputSizes:
    """Counts the size of all outputs of a run; a value that is passed on unchanged counts once."""

    __slots__ = ("_counted", "_made", "_most")

    def __init__(self, most: int) -> None:
        self._most = most
        self._made = 0
        self._counted: set[int] = set()

    def check(self, outputs: Mapping[str, Any]) -> None:
        """Count the outputs of a component.

        :raises ValueError: if these outputs, or all outputs of the run together, exceed the limit.
        """
        for value in outputs.values():
            if isinstance(value, Message) and not value.content_blocks:
                value = value.text
            size = len(value) if isinstance(value, str) else size_of(value, self._most)
            if size > self._most:
                raise too_long(self._most)
            # Results are kept until the run ends, so ids of objects are not reused.
            if size > _SMALL and id(value) not in self._counted:
                self._counted.add(id(value))
                self._made += size
                if self._made > self._most * _TIMES:
                    raise too_long(self._most * _TIMES)


def size_of(value: Any, most: int) -> int:
    """Return the approximate number of characters of a value written as JSON; counting stops above ``most``.

    An object contained twice counts twice, since it would be written twice.
    """
    size, todo = 0, [value]
    while todo and size <= most:
        one = todo.pop()
        if isinstance(one, str):
            size += len(one)
        elif isinstance(one, Mapping):
            size += len(one)
            for name, member in one.items():
                size += len(name) if isinstance(name, str) else 1
                todo.append(member)
        elif isinstance(one, (list, tuple)):
            size += len(one)
            todo += one
        elif isinstance(one, Message):
            size += len(one.text)
            todo.append(one.content_blocks)
        else:
            size += 1
    return size
