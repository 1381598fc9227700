"""Memory operations as hooks: the chosen backend implements them, and plugins may wrap them."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, Final

import pluggy

from flowrunner import hookspecs
from flowrunner.errors import FlowRunnerError, MemoryFailed, PluginFailed, is_interrupt, reason_of
from flowrunner.hookspecs import MEMORY_HOOKS
from flowrunner.memory import MemoryBackend

BACKEND_NAME: Final = "memory backend"

#: What each operation returns; a session_lock may return nothing at all.
_ANSWERS: Final[dict[str, type | tuple[type, ...]]] = {
    "append_messages": (list, tuple),
    "fetch_messages": (list, tuple),
    "update_messages": (list, tuple),
    "delete_messages": int,
    "list_sessions": (list, tuple),
    "close": bool,
}


class HookedMemory:
    """The memory hooks as plain operations. What goes wrong in one names the plugin or the backend."""

    def __init__(self, pm: pluggy.PluginManager) -> None:
        call = {name: _guarded(pm, name) for name in MEMORY_HOOKS}
        append, fetch, update = call["append_messages"], call["fetch_messages"], call["update_messages"]
        delete, sessions, lock = call["delete_messages"], call["list_sessions"], call["session_lock"]
        self.append_messages = lambda messages: append(messages=messages)
        self.fetch_messages = lambda query: fetch(query=query)
        self.update_messages = lambda query, changes: update(query=query, changes=changes)
        self.delete_messages = lambda query: delete(query=query)
        self.list_sessions = lambda query: sessions(query=query)
        self.session_lock = lambda owner, session_id, wait: lock(owner=owner, session_id=session_id, wait=wait)
        self.close = lambda: call["close"]()


class BackendHooks:
    """Exactly the memory operations of a backend, as hook implementations."""

    def __init__(self, backend: MemoryBackend) -> None:
        self._backend = backend

    @hookspecs.hookimpl
    def append_messages(self, messages: Any) -> Any:
        return self._backend.append_messages(messages)

    @hookspecs.hookimpl
    def fetch_messages(self, query: Any) -> Any:
        return self._backend.fetch_messages(query)

    @hookspecs.hookimpl
    def update_messages(self, query: Any, changes: Any) -> Any:
        return self._backend.update_messages(query, changes)

    @hookspecs.hookimpl
    def delete_messages(self, query: Any) -> Any:
        return self._backend.delete_messages(query)

    @hookspecs.hookimpl
    def list_sessions(self, query: Any) -> Any:
        return self._backend.list_sessions(query)

    @hookspecs.hookimpl
    def session_lock(self, owner: Any, session_id: Any, wait: Any) -> Any:
        return self._backend.session_lock(owner, session_id, wait)

    @hookspecs.hookimpl
    def close(self) -> Any:
        return self._backend.close()


def put_backend(pm: pluggy.PluginManager, backend: MemoryBackend) -> None:
    """Make a backend the one that answers the memory hooks, in the place of an earlier one; judge what wraps it.

    :raises PluginFailed: if a plugin implements a memory hook rather than wrapping it.
    """
    if pm.has_plugin(BACKEND_NAME):
        pm.unregister(name=BACKEND_NAME)
    pm.register(BackendHooks(backend), name=BACKEND_NAME)
    refuse_second_backend(pm)
    for hook in _ANSWERS:
        for implementation in getattr(pm.hook, hook).get_hookimpls():
            if implementation.wrapper and not getattr(implementation.function, "checked", False):
                implementation.function = _checked(implementation.function, implementation.plugin_name, hook)


def refuse_second_backend(pm: pluggy.PluginManager) -> None:
    """Refuse plugins that implement a memory hook, where they may only wrap it.

    :raises PluginFailed: naming the plugin.
    """
    for hook in MEMORY_HOOKS:
        for implementation in getattr(pm.hook, hook).get_hookimpls():
            wraps = implementation.wrapper or implementation.hookwrapper
            if not wraps and implementation.plugin_name != BACKEND_NAME:
                raise PluginFailed(
                    f"Plugin {implementation.plugin_name} implements {hook}; only the selected backend may."
                    " Wrap it with @hookimpl(wrapper=True), or offer a backend under its own name."
                )


def plugin_at_fault(pm: pluggy.PluginManager, hook: str, error: BaseException) -> str:
    """Return the name of the plugin in whose implementation of a hook an error arose; blank if in none."""
    names = {}
    for implementation in getattr(pm.hook, hook).get_hookimpls():
        function = getattr(implementation.function, "__wrapped__", implementation.function)
        code = getattr(function, "__code__", None)
        if code is not None:
            names[code] = implementation.plugin_name
    found, trace = "", error.__traceback__
    while trace is not None:
        found = names.get(trace.tb_frame.f_code, found)
        trace = trace.tb_next
    return found


def _checked(function: Callable[..., Any], plugin: str, hook: str) -> Callable[..., Any]:
    """Return a wrapper's function that refuses, by name, to swallow or replace the answer."""
    wanted = _ANSWERS[hook]
    word = {"delete_messages": "a number", "close": "True"}.get(hook, "a list")

    def checked(*arguments: Any) -> Generator[None, Any, Any]:
        answer = yield from function(*arguments)
        if answer is None:
            raise MemoryFailed(
                f"No memory backend answered {hook}: the plugin {plugin} wraps it and returned nothing. A wrapper"
                " must return the result, as in `return (yield)`."
            )
        if not isinstance(answer, wanted):
            raise MemoryFailed(
                f"The plugin {plugin} wraps {hook} and returned {type(answer).__name__}; it must return {word}."
            )
        return answer

    # Whoever looks for the plugin's own code, or traces it, looks through this one.
    checked.__dict__.update(__wrapped__=getattr(function, "__wrapped__", function), traced=hasattr(function, "traced"))
    checked.__dict__["checked"] = True
    return checked


def _guarded(pm: pluggy.PluginManager, hook: str) -> Callable[..., Any]:
    call = getattr(pm.hook, hook)

    def guarded(**arguments: Any) -> Any:
        try:
            return call(**arguments)
        except FlowRunnerError:
            raise
        except BaseException as error:
            if is_interrupt(error):
                raise
            plugin = plugin_at_fault(pm, hook, error)
            who = f"Plugin {plugin}" if plugin and plugin != BACKEND_NAME else "The memory backend"
            raise MemoryFailed(f"{who} failed in {hook}: {reason_of(error)}.") from error

    return guarded
