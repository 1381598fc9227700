"""``flowrunner check-config``: check the settings without starting a server."""

from __future__ import annotations

import click

from flowrunner.cli.context import Where, data_options
from flowrunner.cli.output import say


@click.command("check-config")
@data_options
def check_config_command(where: Where) -> None:
    """Check that a server could start: load the plugins, open the databases. Exit status 1 if not."""
    from flowrunner.app import create_app, runner_of

    runner = runner_of(create_app(**{name.lower(): value for name, value in where.settings.items()}))
    runner.check()
    settings = runner.settings
    say(f"The settings are valid: memory {settings.memory}, data in {settings.data_dir}.")
