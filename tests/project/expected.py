"""What the tables in the docs must hold, made from the code."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pluggy

import flowrunner
from flowrunner import hookspecs, playground
from flowrunner.cli import cli
from flowrunner.errors import FlowRunnerError
from flowrunner.settings import PREFIX, Setting
from flowrunner.site.building import load_plugins
from flowrunner.web.route import Route
from flowrunner.web.routes import MORE, groups_of


def settings_row(setting: Setting) -> str:
    """Return the row of a setting, as docs/settings.md must have it."""
    return f"| `{PREFIX}{setting.name}` | {_shown(setting.default)} | {setting.help} |"


def _shown(default: Any) -> str:
    if default in (None, (), ""):
        return ""
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, (tuple, list)):
        return f"`{','.join(map(str, default))}`"
    if isinstance(default, float) and default.is_integer():
        return f"`{int(default)}`"
    return f"`{default}`"


def all_settings() -> tuple[Setting, ...]:
    """Return the core's settings and those of the plugins that come with it."""
    manager, _ = load_plugins({}, keep_going=True)
    return manager.registry.settings


def commands() -> Iterator[tuple[str, click.Command]]:
    """Yield each command with its whole name, groups too."""
    todo: list[tuple[str, click.Command]] = [("flowrunner", cli)]
    while todo:
        name, command = todo.pop(0)
        if isinstance(command, click.Group):
            context = click.Context(command)
            for child in command.list_commands(context):
                found = command.get_command(context, child)
                assert found is not None
                todo.append((f"{name} {child}", found))
        if command is not cli:
            yield name, command


def command_row(name: str, command: click.Command) -> str:
    """Return the row of a command, as docs/cli.md must have it."""
    words = [name]
    options = []
    for parameter in command.params:
        if isinstance(parameter, click.Argument):
            shown = parameter.make_metavar(click.Context(command)).strip("[]").rstrip(".").rstrip("]")
            shown += "..." if parameter.nargs == -1 else ""
            words.append(shown if parameter.required else f"[{shown}]")
        elif isinstance(parameter, click.Option):
            options.append(f"`{max(parameter.opts, key=len)}`")
    summary = inspect.cleandoc(command.help or "").split("\n\n")[0].replace("\n", " ")
    return f"| `{' '.join(words)}` | {summary} | {' '.join(options)} |"


def declared_routes() -> list[Route]:
    """Return every route of the API and of the playground."""
    groups = (*groups_of(MORE, metrics=True), *playground.GROUPS)
    return [route for group in groups for route in group]


def route_row(route: Route) -> str:
    """Return the row of a route, as docs/api.md must have it."""
    need = route.needs.capability
    return f"| `{route.method} {route.shown_rule}` | {route.summary} | {'open' if need is None else need.value} |"


def hook_names() -> list[str]:
    """Return the names of all hooks, in the order of the spec file."""
    return [name for name, value in vars(hookspecs).items() if hasattr(value, f"{hookspecs.PROJECT}_spec")]


def hook_signatures() -> list[str]:
    """Return each hook as ``name(argument, argument)``."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    return [f"{name}({', '.join(getattr(manager.hook, name).spec.argnames)})" for name in hook_names()]


def error_codes() -> dict[str, int]:
    """Return the status of each error code: of all error classes, and of bodies that views write themselves."""
    for module in pkgutil.walk_packages(flowrunner.__path__, "flowrunner."):
        if not any(
            part in module.name for part in (".migrations", ".testing", ".integrations", ".scaffold", "__main__")
        ):
            importlib.import_module(module.name)
    found = {FlowRunnerError.code: FlowRunnerError.status}
    todo = [FlowRunnerError]
    while todo:
        for kind in todo.pop().__subclasses__():
            if kind.__module__.startswith("flowrunner"):
                found[kind.code] = kind.status
                todo.append(kind)
    return found


def sources() -> Iterator[Path]:
    """Yield the Python files of the package and of the plugins that come with it."""
    root = Path(flowrunner.__file__).resolve().parents[1]
    for folder in ("flowrunner", "plugins"):
        yield from sorted((root / folder).rglob("*.py"))
