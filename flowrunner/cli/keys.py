"""``flowrunner keys``: manage API keys."""

from __future__ import annotations

import shlex

import click

from flowrunner.cli.context import Place, Where, data_options, keys_in, open_keys, open_place
from flowrunner.cli.give import shown_counts, what_local_has
from flowrunner.cli.lookups import FlowNames
from flowrunner.cli.output import say
from flowrunner.cli.owners import print_json, print_table, shown_time
from flowrunner.cli.suggestions import SuggestingGroup
from flowrunner.memory import EVERY_OWNER


@click.group("keys", cls=SuggestingGroup)
def keys_commands() -> None:
    """Manage API keys."""


@keys_commands.command("create")
@click.option("--user", required=True, help="User the key belongs to. All keys of a user have the same data.")
@click.option("--name", default="", help="What the key is for.")
@click.option("--admin", is_flag=True, help="Allow reading the conversations of every owner.")
@click.option("--read-only", is_flag=True, help="Make the key read-only: it cannot run flows or change anything.")
@click.option(
    "--flow", "flows", multiple=True, help="Limit the key to a flow, by id or endpoint name; may be repeated."
)
@data_options
def create_command(user: str, name: str, admin: bool, read_only: bool, flows: tuple[str, ...], where: Where) -> None:
    """Create a key and print it. Only its hash is stored, so it cannot be shown again."""
    with open_place(where) as place, keys_in(place) as keys:
        if flows:
            names = FlowNames(place, EVERY_OWNER)
            for unknown in (flow for flow in flows if flow not in names.by_name):
                say(f"{names.unknown(unknown).message} The key is limited to it anyway.", err=True)
        first = not keys.list()
        key = keys.create(user, name=name, admin=admin, read_only=read_only, flows=flows or None)
        offered = _offer(place, user) if first else ""
    say(key)
    if offered:
        say(offered, err=True)


@keys_commands.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@data_options
def list_command(as_json: bool, where: Where) -> None:
    """List keys: prefix, user, permissions, last use."""
    with open_keys(where) as keys:
        records = keys.list()
    if as_json:
        print_json([record.to_json() for record in records])
        return
    rows = []
    for record in records:
        may = [word for word, yes in (("admin", record.admin), ("read-only", record.read_only)) if yes]
        if record.flows is not None:
            may.append(f"flows: {', '.join(record.flows)}")
        used = shown_time(record.last_used_at) or "never"
        rows.append((record.id, f"{record.hint}...", record.user, used, "; ".join(may), record.name))
    if rows:
        print_table(("id", "key", "user", "last used", "limits", "name"), rows)


@keys_commands.command("revoke")
@click.argument("key_id")
@data_options
def revoke_command(key_id: str, where: Where) -> None:
    """Revoke a key by its id, effective with its next request."""
    with open_keys(where) as keys:
        keys.revoke(key_id)
    say(f"revoked {key_id}")


@keys_commands.command("rotate")
@click.argument("key_id")
@data_options
def rotate_command(key_id: str, where: Where) -> None:
    """Replace a key with a new one of the same permissions, and print it."""
    with open_keys(where) as keys:
        key = keys.rotate(key_id)
    say(key)


def _offer(place: Place, user: str) -> str:
    """Return what whoever makes the first key is told of what was there before, which the key does not open."""
    from flowrunner.errors import FlowRunnerError
    from flowrunner.identity import LOCAL_IDENTITY
    from flowrunner.store.keys import owner_of_user

    try:
        has = {word: count for word, count in what_local_has(place).items() if count}
    except FlowRunnerError:
        # The key is made, and a memory that cannot be opened is said by whoever needs it.
        return ""
    if not has or owner_of_user(user.strip()) == LOCAL_IDENTITY.id:
        return ""
    return (
        f"This is the first key; existing data belongs to the local user ({shown_counts(has)}), which this key"
        f" cannot access. To transfer it to {user}: flowrunner memory give --from local --to {shlex.quote(user)}"
    )
