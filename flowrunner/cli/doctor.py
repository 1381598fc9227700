"""``flowrunner doctor``: check an installation."""

from __future__ import annotations

import json

import click

from flowrunner.cli.context import Where, data_options
from flowrunner.cli.output import say


@click.command("doctor")
@data_options
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list of findings.")
def doctor_command(where: Where, as_json: bool) -> None:
    """Check the installation: report problems, present and impending, and how to fix them.

    Nothing is changed. Exit status 1 if there is an error, 0 if there are only warnings.
    """
    from flowrunner.doctor import examine

    found = examine(where.settings)
    if as_json:
        say(json.dumps([finding.to_json() for finding in found], indent=2))
    else:
        for finding in found:
            say(f"{finding.level}: {finding.message} [{finding.code}]\n  {finding.remedy}")
        say(_summary([finding.level for finding in found]))
    if any(finding.level == "error" for finding in found):
        raise SystemExit(1)


def _summary(levels: list[str]) -> str:
    if not levels:
        return "No problems found."
    counts = [(levels.count(level), level) for level in ("error", "warning") if level in levels]
    return ", ".join(f"{count} {level}{'s' if count > 1 else ''}" for count, level in counts) + "."
