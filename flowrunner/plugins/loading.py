"""Import candidate plugins, and report why one could not be loaded."""

from __future__ import annotations

import importlib.util
import inspect
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pluggy

from flowrunner import hookspecs
from flowrunner.components.contract import Component
from flowrunner.errors import PluginFailed, reason_of
from flowrunner.hookspecs import PROJECT

NOTHING_MARKED: Final = "none of its functions is marked with @hookimpl"

_HERE: Final = f"{Path(__file__).resolve().parents[1]}{os.sep}"
_PLUGGY: Final = f"{Path(pluggy.__file__).resolve().parent}{os.sep}"


def load_file(path: Path) -> ModuleType:
    """Import a file or package of the plugins folder under a name of its own.

    :raises BaseException: whatever the code in it raises.
    """
    name = f"flowrunner_folder_plugin_{path.parent.name if path.name == '__init__.py' else path.stem}"
    spec = importlib.util.spec_from_file_location(
        name, path, submodule_search_locations=[str(path.parent)] if path.name == "__init__.py" else None
    )
    if spec is None or spec.loader is None:
        raise PluginFailed(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def why_it_failed(error: BaseException) -> str:
    """Return what went wrong in a plugin, as the end of a sentence."""
    said = reason_of(error)
    named = isinstance(error, (PluginFailed, SystemExit)) or said.startswith(type(error).__name__)
    return said if named else f"{type(error).__name__}: {said}"


def place_of(error: BaseException) -> str:
    """Return file and line at which foreign code broke; blank if no foreign code ran.

    Of a syntax error its own; else the last line in the folder of the file that was entered first,
    since what it called in somebody else's library is not where its author looks.
    """
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}, line {error.lineno}"
    frames, trace = [], error.__traceback__
    while trace is not None:
        frames.append((trace.tb_frame.f_code.co_filename, trace.tb_lineno))
        trace = trace.tb_next
    foreign = [(file, line) for file, line in frames if not _is_ours(file)]
    if not foreign:
        return ""
    folder = str(Path(foreign[0][0]).parent)
    # A piece of code without a file, such as one made by exec, lies in no folder.
    file, line = ([one for one in foreign if one[0].startswith(folder)] or foreign)[-1]
    return f"{file}, line {line}"


def _is_ours(file: str) -> bool:
    """Return whether a file belongs to the machinery that loads and calls plugins."""
    return file.startswith((_HERE, _PLUGGY, "<frozen"))


def refuse_unknown_hooks(pm: pluggy.PluginManager, name: str) -> None:
    """Refuse hooks that the spec does not know: a misspelt one would never be called.

    :raises PluginFailed: naming it.
    """
    for caller in pm.get_hookcallers(pm.get_plugin(name)) or []:
        if not caller.has_spec():
            raise PluginFailed(f"it implements {caller.name}, which is not a flowrunner hook")


def why_refused(pm: pluggy.PluginManager, plugin: Any, error: pluggy.PluginValidationError) -> str:
    """Return in one sentence why pluggy would not register a plugin."""
    for name, function, options in _marked(pm, plugin):
        spec = getattr(getattr(pm.hook, options["specname"] or name, None), "spec", None)
        if (options["wrapper"] or options["hookwrapper"]) and not inspect.isgeneratorfunction(function):
            return f"its {name} is a wrapper but does not yield: call the wrapped hook with answer = yield"
        known = () if spec is None else spec.argnames
        strange = [one for one in _parameters(function) if one not in known]
        if spec is not None and strange:
            return (
                f"its {name} takes {strange[0]}, which is not an argument of the hook; it has"
                f" {', '.join(known) or 'nothing'}"
            )
    return " ".join(str(error).split())


def refuse_idle_functions(pm: pluggy.PluginManager, name: str) -> None:
    """Refuse functions that would be called and never be carried out.

    :param name: the name under which the plugin was registered.
    :raises PluginFailed: naming the function.
    """
    for hook, function, options in _marked(pm, pm.get_plugin(name)):
        if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
            raise PluginFailed(f"its {hook} is an async def, which is not supported: write def {hook}")
        wraps = options["wrapper"] or options["hookwrapper"]
        if inspect.isgeneratorfunction(function) and not wraps:
            raise PluginFailed(
                f"its {hook} yields and would never run: remove the yield, or use @hookimpl(wrapper=True)"
            )
        if hook.startswith("register_") and "register" not in _parameters(function) and not wraps:
            raise PluginFailed(f"its {hook} does not take register, so it cannot offer anything")


def _marked(pm: pluggy.PluginManager, plugin: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield name, function and options of what a plugin has marked."""
    for name in _members(plugin):
        options = pm.parse_hookimpl_opts(plugin, name)
        if options is not None:
            yield name, getattr(plugin, name), options


def _parameters(function: Any) -> list[str]:
    """Return the names of the parameters that a caller must give; those with a default are the function's own."""
    found = inspect.signature(function).parameters.values()
    return [one.name for one in found if one.default is one.empty]


def why_useless(pm: pluggy.PluginManager, name: str) -> str:
    """Return why a plugin that was registered would do nothing, and what its author may have meant; blank if it does.

    :param name: the name under which it was registered.
    """
    plugin = pm.get_plugin(name)
    if pm.get_hookcallers(plugin):
        return ""
    members = _members(plugin)
    others = sorted({project for member in members.values() for project in _marked_for(member)} - {PROJECT})
    if others:
        return (
            f"its functions are marked with the @hookimpl of another project, {', '.join(others)}: write"
            " from flowrunner import hookimpl"
        )
    unmarked = [name for name in members if getattr(vars(hookspecs).get(name), "__module__", "") == hookspecs.__name__]
    if unmarked:
        return f"its function {unmarked[0]} is not marked with @hookimpl"
    for name, member in members.items():
        if isinstance(member, type) and issubclass(member, Component) and member.__module__ == _module_of(plugin):
            return f"its component {name} is not registered: add a function register_components marked with @hookimpl"
        if isinstance(member, type) and member.__module__ == _module_of(plugin) and _has_marked(member):
            return (
                f"the functions marked with @hookimpl are in the class {name}: move them to the top level of the file"
            )
    return NOTHING_MARKED


def _has_marked(found: type) -> bool:
    return any(PROJECT in _marked_for(member) for member in vars(found).values())


def _module_of(plugin: Any) -> str:
    return str(plugin.__name__ if isinstance(plugin, ModuleType) else type(plugin).__module__)


def _members(plugin: Any) -> dict[str, Any]:
    """Return what a module or an object's class defines, without calling any property."""
    spaces = [plugin] if isinstance(plugin, ModuleType) else type(plugin).__mro__[:-1]
    return {name: member for space in reversed(spaces) for name, member in vars(space).items()}


def _marked_for(member: Any) -> list[str]:
    """Return the projects whose pluggy marker a function carries."""
    found = vars(member) if inspect.isfunction(member) else {}
    return [
        name.removesuffix("_impl")
        for name, options in found.items()
        if name.endswith("_impl") and isinstance(options, dict) and "hookwrapper" in options
    ]
