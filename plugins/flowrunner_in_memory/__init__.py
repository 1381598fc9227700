"""The memory backend ``in-memory``: conversations in a dict, for tests and experiments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flowrunner import Setting, Settings, hookimpl
from flowrunner_in_memory.backend import InMemory
from flowrunner_in_memory.workers import warn_about_workers

__all__ = ["InMemory"]


def _whole_number(value: Any) -> int:
    number = int(value)
    if number < 0:
        raise ValueError("must be a whole number, 0 or more")
    return number


def _open(app: Any, settings: Settings) -> InMemory:
    warn_about_workers()
    return InMemory(max_messages=settings.in_memory_max_messages or None)


@hookimpl
def register_memory_backends(register: Callable[..., None]) -> None:
    bound = Setting(
        "IN_MEMORY_MAX_MESSAGES",
        0,
        "maximum messages kept, dropping the oldest; 0: no limit",
        _whole_number,
    )
    register("in-memory", _open, settings=(bound,))
