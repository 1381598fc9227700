"""``flowrunner check-config``: whether a server with these settings could start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from flowrunner.cli.context import data_options
from flowrunner.cli.saying import say


@click.command("check-config")
@data_options
def check_config_command(data_dir: Path | None, database_url: str | None) -> None:
    """Load the plugins and open everything that a server opens; say what is wrong, with exit status 1."""
    from flowrunner.app import create_app, runner_of

    given: dict[str, Any] = {"data_dir": data_dir, "database_url": database_url}
    runner = runner_of(create_app(**{name: value for name, value in given.items() if value is not None}))
    runner.check()
    settings = runner.settings
    say(f"The settings can be used: memory {settings.memory}, data in {settings.data_dir}.")
