"""``flowrunner check-config``: check the settings without starting a server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from flowrunner.cli.context import data_options
from flowrunner.cli.output import say


@click.command("check-config")
@data_options
def check_config_command(data_dir: Path | None, database_url: str | None) -> None:
    """Check that a server could start: load the plugins, open the databases. Exit status 1 if not."""
    from flowrunner.app import create_app, runner_of

    given: dict[str, Any] = {"data_dir": data_dir, "database_url": database_url}
    runner = runner_of(create_app(**{name: value for name, value in given.items() if value is not None}))
    runner.check()
    settings = runner.settings
    say(f"The settings are valid: memory {settings.memory}, data in {settings.data_dir}.")
