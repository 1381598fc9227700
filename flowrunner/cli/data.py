"""``flowrunner data``: show and move the data folder."""

from __future__ import annotations

from pathlib import Path

import click

from flowrunner.cli.output import say
from flowrunner.cli.owners import print_json
from flowrunner.cli.suggestions import SuggestingGroup


@click.group("data", cls=SuggestingGroup, invoke_without_command=True)
@click.option("--data-dir", type=click.Path(path_type=Path), help="Folder of the server's data.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def data_commands(ctx: click.Context, data_dir: Path | None, as_json: bool) -> None:
    """Show the data folder, its contents, and older folders that still hold data."""
    if ctx.invoked_subcommand is not None:
        return
    from flowrunner.site.data_folder import doubts_about
    from flowrunner.site.older_data import find_older_places, holdings_of, notes_on

    folder = _folder(data_dir)
    held = holdings_of(folder)
    if as_json:
        older = find_older_places(folder)
        shown = {"folder": str(folder), "holds": held.counts, "warnings": doubts_about(folder)}
        print_json({**shown, "older": [{"folder": str(one.folder), "holds": one.counts} for one in older]})
        return
    say(f"{folder}: {held}")
    for sentence in notes_on(folder):
        say(sentence)


@data_commands.command("move")
@click.argument("folder", required=False, type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--data-dir", type=click.Path(path_type=Path), help="Folder of the server's data.")
def move_command(folder: Path | None, data_dir: Path | None) -> None:
    """Move the data in FOLDER, or in the only older folder that has some, to the current data folder."""
    from flowrunner.errors import BadRequest
    from flowrunner.site.older_data import find_older_places, move_data

    target = _folder(data_dir)
    if folder is None:
        older = find_older_places(target)
        if len(older) != 1:
            names = ", ".join(str(one.folder) for one in older)
            raise BadRequest(f"Say which: {names}." if older else "No older data folder was found.")
        folder = older[0].folder
    held = move_data(folder.absolute(), target)
    say(f"moved {held} from {folder} to {target}")


def _folder(data_dir: Path | None) -> Path:
    from flowrunner.settings.reading import read_settings
    from flowrunner.settings.table import SETTINGS
    from flowrunner.site.data_folder import usual_data_folder

    table = (setting for setting in SETTINGS if setting.name == "DATA_DIR")
    given: Path | None = read_settings(table, config={}, overrides={"DATA_DIR": data_dir}).data_dir
    return given or usual_data_folder()
