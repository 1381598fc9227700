"""``flowrunner new``: create a package or a component from a skeleton."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import click

from flowrunner.cli.output import say
from flowrunner.cli.suggestions import SuggestingGroup
from flowrunner.errors import BadRequest


@click.group("new", cls=SuggestingGroup)
def new_commands() -> None:
    """Create a package or a component from a skeleton."""


@new_commands.command("memory")
@click.argument("name")
@click.option("--dir", "folder", type=click.Path(path_type=Path), help="Folder to create; default: flowrunner-NAME.")
def memory_command(name: str, folder: Path | None) -> None:
    """Create a package with a working memory backend named NAME, and its tests."""
    from flowrunner.scaffold import write_memory_package
    from flowrunner.site.building import load_plugins

    manager, _ = load_plugins({}, keep_going=True)
    if name in manager.registry.backends:
        raise BadRequest(f"A memory backend named {name} already exists; choose another name.")
    _refuse_taken(name)
    place = folder or Path(f"flowrunner-{name}")
    _tell(write_memory_package(name, place), place)


@new_commands.command("plugin")
@click.argument("name")
@click.option("--dir", "folder", type=click.Path(path_type=Path), help="Folder to create; default: flowrunner-NAME.")
def plugin_command(name: str, folder: Path | None) -> None:
    """Create a package with a plugin named NAME: a component, a hook, an entry point, and tests."""
    from flowrunner.scaffold import write_plugin_package

    _refuse_taken(name)
    place = folder or Path(f"flowrunner-{name}")
    _tell(write_plugin_package(name, place), place)


@new_commands.command("component")
@click.argument("name", metavar="TYPE")
@click.option(
    "--from",
    "flow",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="An exported flow with a node of this type, to take its inputs and outputs from; its code is not read.",
)
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path),
    default=Path("my-plugins"),
    help="Plugins folder to write to; default: my-plugins.",
)
def component_command(name: str, flow: Path | None, folder: Path) -> None:
    """Create a component of type TYPE, with a passing test."""
    from flowrunner.scaffold import write_component
    from flowrunner.site.building import load_plugins

    manager, _ = load_plugins({}, keep_going=True)
    if manager.registry.component(name) is not None:
        raise BadRequest(f"A component of type {name} already exists; choose another name.")
    try:
        data = None if flow is None else flow.read_bytes()
    except OSError as error:
        raise BadRequest(f"{flow} cannot be read: {error.strerror or error}.") from error
    written = write_component(name, folder, flow=data)
    for path in written:
        say(path)
    if data is not None:
        say("Inputs and outputs were taken from the flow; its code and field values were not read.")
    say(
        f"next: say what it does in {written[0]}, and pytest {written[1]}; a server finds it with"
        f" FLOWRUNNER_PLUGINS_DIR={folder}"
    )


def _refuse_taken(name: str) -> None:
    package = f"flowrunner_{name.replace('-', '_')}"
    if package.isidentifier() and find_spec(package) is not None:
        raise BadRequest(f"A package {package} already exists and would be hidden; choose another name.")


def _tell(written: list[Path], place: Path) -> None:
    for path in written:
        say(path)
    say(f"next: cd {place} && pip install -e '.[testing]' && pytest")
