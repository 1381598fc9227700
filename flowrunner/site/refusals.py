"""Reject invalid constructor arguments and settings before anything is built."""

from __future__ import annotations

import inspect
import re
from typing import Any, Final

from flask import Blueprint, Flask

from flowrunner.errors import SettingsInvalid
from flowrunner.memory import MemoryBackend
from flowrunner.settings.values import words

_NAME: Final = re.compile(r"[a-z][a-z0-9_-]*")
_SUBDOMAIN: Final = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")
#: The module with functions that return callables for ``identity=``.
_RECIPES: Final = "flowrunner.integrations.identity"


def refuse_arguments(
    name: Any, url_prefix: Any, subdomain: Any, *, identity: Any, guard: Any, memory: Any, plugins: Any
) -> None:
    """Check the arguments of the extension.

    :raises SettingsInvalid: if one is invalid, naming it.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise SettingsInvalid(
            f"FlowRunner(name={name!r}): a name has lower-case letters, digits, - and _, and begins with a letter."
        )
    if not isinstance(url_prefix, str) or not _is_plain_path(url_prefix):
        raise SettingsInvalid(
            f"FlowRunner(url_prefix={url_prefix!r}): a prefix is a plain path such as '/assistant', or '/' for the"
            " whole app."
        )
    if subdomain is not None and not (isinstance(subdomain, str) and _SUBDOMAIN.fullmatch(subdomain)):
        raise SettingsInvalid(
            f"FlowRunner(subdomain={subdomain!r}): a subdomain is a plain name in lower case, such as 'chat'."
        )
    for word, function in (("identity", identity), ("guard", guard)):
        if function is not None:
            _refuse_no_function(word, function)
    if memory is not None and not isinstance(memory, (str, MemoryBackend)):
        raise SettingsInvalid(
            f"FlowRunner(memory={memory!r}): pass the name of a memory backend, such as 'in-memory', or a"
            f" MemoryBackend."
        )
    if isinstance(plugins, (str, bytes, type)) or not hasattr(plugins, "__iter__"):
        raise SettingsInvalid(
            f"FlowRunner(plugins={plugins!r}): pass a list of component classes and plugins: plugins=[...]."
        )


def read_folders(flows_dir: Any) -> tuple[str, ...]:
    """Return the folders in ``flows_dir=``.

    :raises SettingsInvalid: if it is not a folder or a list of folders.
    """
    try:
        return words(flows_dir)
    except ValueError as error:
        raise SettingsInvalid(f"FlowRunner(flows_dir={flows_dir!r}): pass a folder, or a list of folders.") from error


def refuse_target(app: Any, subdomain: str | None) -> None:
    """Check the app or blueprint in which a runner is mounted.

    :raises SettingsInvalid: if it is not a Flask app or blueprint, or not supported.
    """
    if not isinstance(app, (Flask, Blueprint)):
        raise SettingsInvalid(
            f"FlowRunner.init_app takes a Flask app or one of its blueprints, not a {type(app).__name__}."
        )
    if isinstance(app, Flask) and app.url_map.host_matching:
        raise SettingsInvalid(
            "This app uses host_matching, which flowrunner's routes do not support; use a separate app behind the same"
            " server."
        )
    if subdomain is not None and isinstance(app, Blueprint):
        raise SettingsInvalid(
            f"FlowRunner(subdomain={subdomain!r}): a blueprint has its own subdomain: Blueprint(...,"
            f" subdomain={subdomain!r})."
        )
    if subdomain is not None and isinstance(app, Flask) and not app.subdomain_matching:
        raise SettingsInvalid(
            f"FlowRunner(subdomain={subdomain!r}): this app does not match subdomains: create it with Flask(...,"
            " subdomain_matching=True), and set SERVER_NAME."
        )


def _refuse_no_function(word: str, function: Any) -> None:
    if not callable(function):
        raise SettingsInvalid(
            f"FlowRunner({word}={function!r}): pass a function that takes the request, without calling it."
        )
    if isinstance(function, type):
        raise SettingsInvalid(f"FlowRunner({word}={function.__name__}): pass an instance of that class, not the class.")
    if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__):
        raise SettingsInvalid(f"FlowRunner({word}=...): pass a plain function; async def is not supported.")
    name = getattr(function, "__name__", type(function).__name__)
    if getattr(function, "__module__", "") == _RECIPES and getattr(function, "__qualname__", "") == name:
        raise SettingsInvalid(f"FlowRunner({word}={name}): {name} returns the function to pass: call it, {name}().")
    if not _takes_one(function):
        raise SettingsInvalid(f"FlowRunner({word}={name}): pass a function that takes one argument, the request.")


def _takes_one(function: Any) -> bool:
    try:
        # The wrapper is called, so its signature counts, not that of the wrapped function.
        signature = inspect.signature(function, follow_wrapped=False)
    except (TypeError, ValueError):
        # Some functions written in C have no signature.
        return True
    try:
        signature.bind(None)
    except TypeError:
        return False
    return True


def _is_plain_path(url_prefix: str) -> bool:
    parts = url_prefix.removesuffix("/").split("/")
    return (
        parts[0] == ""
        and url_prefix != ""
        and not {"", ".", ".."} & set(parts[1:])
        and not set(url_prefix) & set("<>?#%\\ ")
    )
