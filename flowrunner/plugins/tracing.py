"""``FLOWRUNNER_TRACE_PLUGINS``: log hook calls and their results."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any

import pluggy

from flowrunner.errors import reason_of


def trace_calls(pm: pluggy.PluginManager) -> None:
    """Print each call of a hook on standard error, with each implementation that it calls; a second call adds nothing.

    Texts of messages, ids and values of settings are not shown, only what kind of thing went in and out.
    """
    for hook in vars(pm.hook).values():
        if isinstance(hook, pluggy.HookCaller):
            for implementation in hook.get_hookimpls():
                if not getattr(implementation.function, "traced", False):
                    _trace(hook.name, implementation)


def _trace(hook: str, implementation: Any) -> None:
    follow = _traced_wrapper if implementation.wrapper else _traced
    traced: Any = follow(hook, implementation)
    traced.traced = True
    traced.__wrapped__ = getattr(implementation.function, "__wrapped__", implementation.function)
    implementation.function = traced


def _traced(hook: str, implementation: Any) -> Callable[..., Any]:
    function, plugin, names = implementation.function, implementation.plugin_name, implementation.argnames

    def traced(*arguments: Any) -> Any:
        try:
            answer = function(*arguments)
        except BaseException as error:
            _print(hook, names, arguments, plugin, f"raised {type(error).__name__}: {reason_of(error)}")
            raise
        _print(hook, names, arguments, plugin, shape_of(answer))
        return answer

    return traced


def _traced_wrapper(hook: str, implementation: Any) -> Callable[..., Generator[None, Any, Any]]:
    function, plugin, names = implementation.function, implementation.plugin_name, implementation.argnames

    def traced(*arguments: Any) -> Generator[None, Any, Any]:
        _print(hook, names, arguments, f"{plugin} (wrapper)", "entered")
        try:
            answer = yield from function(*arguments)
        except BaseException as error:
            _print(hook, names, arguments, f"{plugin} (wrapper)", f"raised {type(error).__name__}: {reason_of(error)}")
            raise
        _print(hook, names, arguments, f"{plugin} (wrapper)", shape_of(answer))
        return answer

    return traced


def _print(hook: str, names: Sequence[str], arguments: Sequence[Any], plugin: str, outcome: str) -> None:
    given = ", ".join(f"{name}={shape_of(value)}" for name, value in zip(names, arguments, strict=False))
    sys.stderr.write(f"flowrunner: {hook}({given}) -> {plugin}: {outcome}\n")


def shape_of(value: Any) -> str:
    """Return what kind of thing a value is, without what stands in it."""
    if value is None or isinstance(value, (bool, int, float)):
        return repr(value)
    if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
        kinds = sorted({type(one).__name__ for one in value})
        return f"{len(value)} {' or '.join(kinds)}" if value else "nothing (an empty list)"
    if isinstance(value, str):
        return f"text of {len(value)} characters"
    if isinstance(value, Mapping):
        return f"dict of {len(value)}"
    kind = getattr(value, "kind", None)
    return f"{type(value).__name__} {kind}" if isinstance(kind, str) and kind.isidentifier() else type(value).__name__
