"""``flowrunner new``: create a package from a skeleton."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import click

from flowrunner.cli.output import say
from flowrunner.cli.suggestions import SuggestingGroup
from flowrunner.errors import BadRequest


@click.group("new", cls=SuggestingGroup)
def new_commands() -> None:
    """Create a package from a skeleton."""


@new_commands.command("memory")
@click.argument("name")
@click.option("--dir", "folder", type=click.Path(path_type=Path), help="Folder to create; default: flowrunner-NAME.")
def memory_command(name: str, folder: Path | None) -> None:
    """Write a package with a memory backend called NAME: it works at once, and its tests say whether it still does."""
    from flowrunner.scaffold import write_memory_package
    from flowrunner.site.building import load_plugins

    manager, _ = load_plugins({}, keep_going=True)
    if name in manager.registry.backends:
        raise BadRequest(f"There is a memory backend {name} already; choose another name.")
    package = f"flowrunner_{name.replace('-', '_')}"
    if package.isidentifier() and find_spec(package) is not None:
        raise BadRequest(f"There is a package {package} already, which it would hide; choose another name.")
    place = folder or Path(f"flowrunner-{name}")
    for path in write_memory_package(name, place):
        say(path)
    say(f"next: cd {place} && pip install -e '.[testing]' && pytest")
