"""``flowrunner backup`` and ``flowrunner restore``: back up all data, and restore a backup."""

from __future__ import annotations

from pathlib import Path

import click

from flowrunner.cli.context import Where, memory_options, open_memory, open_place
from flowrunner.cli.output import say


@click.command("backup")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@click.option("--with-secret-key", is_flag=True, help="Include the key that encrypts stored secrets.")
@memory_options
def backup_command(folder: Path, with_secret_key: bool, where: Where) -> None:
    """Back up everything into DIR: database, conversations and files. A server may be running.

    Without --with-secret-key the values of stored secrets can be read only where the key is; with
    it, whoever has the backup can read them.
    """
    from flowrunner import __version__
    from flowrunner.site.backup import write_backup
    from flowrunner.store.tables import SCHEMA

    with open_memory(where) as (opened, place):
        SCHEMA.ensure(place.engine)
        manifest = write_backup(
            folder.absolute(),
            engine=place.engine,
            data_dir=place.settings.data_dir,
            memory=opened,
            in_database=len(place.schemas()) > 1 and opened.name == "sqlite",
            with_key=with_secret_key,
            version=__version__,
        )
    contents = manifest["contents"]
    size = sum(facts["bytes"] for facts in contents.values())
    say(f"wrote {len(contents)} files, {size:,} bytes, into {folder}")
    if not with_secret_key:
        say("the encryption key is not included; keep a copy of secret.key from the data folder", err=True)


@click.command("restore")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False, exists=True))
@memory_options
def restore_command(folder: Path, where: Where) -> None:
    """Restore the backup in DIR into an empty place, and verify it."""
    from flowrunner.errors import BadRequest, Conflict
    from flowrunner.site.backup import read_backup, restore_database, restore_messages, restore_rest
    from flowrunner.site.older_data import holdings_of
    from flowrunner.store.engine import database_url as url_of
    from flowrunner.store.tables import SCHEMA

    manifest = read_backup(folder)
    settings = {} if manifest["messages_in_database"] else {"MEMORY": manifest["memory"]}
    with open_place(where, settings) as place:
        url, target = url_of(place.settings), place.settings.data_dir
        if manifest["messages_in_database"] and place.settings.memory != manifest["memory"]:
            raise BadRequest(
                f"The conversations of this backup come from the memory backend {manifest['memory']}: restore with"
                f" --memory {manifest['memory']}, then copy them with flowrunner memory copy."
            )
        if held := holdings_of(target):
            raise Conflict(f"{target} already holds data ({held}); restore a backup into an empty folder.")
        if url.get_backend_name() == "sqlite":
            Path(str(url.database)).unlink(missing_ok=True)
        elif SCHEMA.current(place.engine) is not None:
            raise Conflict("The database already has flowrunner tables; restore a backup into an empty database.")
        restore_database(folder, manifest, url)
        has_key = restore_rest(folder, target)
        SCHEMA.ensure(place.engine)
    if not manifest["messages_in_database"]:
        with open_memory(where, settings) as (opened, _):
            restore_messages(folder, opened)
    say(f"restored the backup of {manifest['made_at']} into {target}; verified")
    if not has_key:
        say(
            "The backup does not include the encryption key: copy secret.key from the old data folder,"
            " or set FLOWRUNNER_SECRET_KEY to its old value, before you start the server.",
            err=True,
        )
