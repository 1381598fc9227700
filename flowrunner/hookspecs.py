"""The hooks that a plugin may implement. pluggy project name: ``flowrunner``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Final

import pluggy

if TYPE_CHECKING:
    from flask import Request

    from flowrunner.components.contract import Component
    from flowrunner.identity import Identity
    from flowrunner.memory import MessageChanges, MessageQuery, SessionQuery, SessionSummary
    from flowrunner.memory.message import Message
    from flowrunner.settings.setting import Setting, Settings

PROJECT: Final = "flowrunner"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)

#: Hooks that only the chosen memory backend implements; other plugins may wrap them.
MEMORY_HOOKS: Final = (
    "append_messages",
    "fetch_messages",
    "update_messages",
    "delete_messages",
    "list_sessions",
    "session_lock",
    "close",
)


@hookspec
def register_components(register: Callable[[type[Component]], None]) -> None:
    """Offer components. Called once per app, at start-up.

    :param register: call it with each component class; a type name that already exists is refused.
    """


@hookspec
def register_memory_backends(register: Callable[..., None]) -> None:
    """Offer memory backends by name. Called once per app, at start-up.

    Only the backend that ``FLOWRUNNER_MEMORY`` names is built, so a factory may import a driver.

    :param register: ``register(name, factory, settings=(Setting(...), ...), schema=None)``; ``factory(app, settings)``
        returns a :class:`~flowrunner.MemoryBackend`. Names of settings begin with the backend's name. ``schema()``
        returns the :class:`~flowrunner.DatabaseSchema` of a backend that has tables, for ``flowrunner db``.
    """


@hookspec
def register_vector_stores(register: Callable[..., None]) -> None:
    """Offer vector stores by name. Called once per app, at start-up.

    Only the store that ``FLOWRUNNER_VECTOR_STORE`` names is built, when a flow first needs it.

    :param register: ``register(name, factory, settings=(Setting(...), ...), schema=None)``; ``factory(app, settings)``
        returns a :class:`~flowrunner.VectorStore`. Names of settings begin with the store's name. ``schema()``
        returns the :class:`~flowrunner.DatabaseSchema` of a store that has tables, for ``flowrunner db``.
    """


@hookspec
def register_engines(register: Callable[..., None]) -> None:
    """Offer engines, which execute background runs. Called once per app, at start-up.

    Only the engine that ``FLOWRUNNER_ENGINE`` names is built, when the runner is opened.

    :param register: ``register(name, factory, settings=(Setting(...), ...))``; ``factory(app, settings)`` returns a
        :class:`~flowrunner.RunEngine`. Names of settings begin with the engine's name.
    """


@hookspec
def register_settings(register: Callable[[Setting], None]) -> None:
    """Declare the settings of a plugin that offers no backend. Called once per app, before settings are read.

    :param register: call it with each :class:`~flowrunner.Setting`; a name that already exists is refused.
    """


@hookspec
def use_settings(settings: Settings) -> None:
    """Receive the settings of the app. Called once per app, when they are read and before the memory backend is opened.

    :param settings: the settings of flowrunner and of all plugins; ``MOTTO`` is the attribute ``motto``.
    """


@hookspec(firstresult=True)
def identify(request: Request) -> Identity | str | int | None:
    """Identify the caller of a request. Called for each request that needs a caller, before API keys are checked.

    :returns: an identity, or the id of a user as text or number; None to try the next plugin and then API keys.
    """


@hookspec
def run_event(event: Any) -> None:
    """Observe an event of a run: started, vertex started or finished, message added, finished, failed, cancelled.

    Called on the run's thread, in order; tokens are not included. Exceptions are logged and do not
    affect the run.

    :param event: a :class:`~flowrunner.RunEvent`.
    """


@hookspec(firstresult=True)
def append_messages(messages: Sequence[Message]) -> list[Message]:
    """Store messages of one owner and session; see :class:`~flowrunner.MemoryBackend`. Wrap it, never implement it."""


@hookspec(firstresult=True)
def fetch_messages(query: MessageQuery) -> list[Message]:
    """Return messages, oldest first; see :class:`~flowrunner.MemoryBackend`. Wrap it, never implement it."""


@hookspec(firstresult=True)
def update_messages(query: MessageQuery, changes: MessageChanges) -> list[Message]:
    """Change messages; see :class:`~flowrunner.MemoryBackend`. Wrap it, never implement it."""


@hookspec(firstresult=True)
def delete_messages(query: MessageQuery) -> int:
    """Remove messages; see :class:`~flowrunner.MemoryBackend`. Wrap it, never implement it."""


@hookspec(firstresult=True)
def list_sessions(query: SessionQuery) -> list[SessionSummary]:
    """Return sessions; see :class:`~flowrunner.MemoryBackend`. Wrap it, never implement it."""


@hookspec(firstresult=True)
def session_lock(owner: str, session_id: str, wait: float) -> AbstractContextManager[bool] | None:
    """Return a lock on a session across hosts, before a run; see :class:`~flowrunner.MemoryBackend`. Wrap it only.

    Called only where the chosen backend has such a lock.
    """


@hookspec(firstresult=True)
def close() -> bool:
    """Release the memory backend. Called once, when the runner is closed. Wrap it, never implement it."""
