"""``flowrunner plugins``: list plugins and their state."""

from __future__ import annotations

import dataclasses
import json

import click

from flowrunner.cli.output import say


@click.command("plugins")
@click.option("--plugins-dir", type=click.Path(exists=True, file_okay=False), help="Folder of plugins.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def plugins_command(plugins_dir: str | None, as_json: bool) -> None:
    """List plugins that are loaded, failed (with the reason) or blocked, and what they offer."""
    from flowrunner.site.building import load_plugins

    manager, settings = load_plugins({}, overrides={"PLUGINS_DIR": plugins_dir}, keep_going=True)
    offers = manager.registry.backends.values()
    backends = [{"name": o.name, "plugin": o.plugin, "chosen": o.name == settings.memory} for o in offers]
    stores = [
        {"name": o.name, "plugin": o.plugin, "chosen": o.name == settings.vector_store}
        for o in manager.registry.vector_stores.values()
    ]
    components = [
        {"type": c.type_name, "plugin": manager.registry.plugin_of(c.type_name)} for c in manager.registry.components()
    ]
    if as_json:
        records = [dataclasses.asdict(record) for record in manager.records]
        say(json.dumps({"plugins": records, "memory": backends, "vectors": stores, "components": components}, indent=2))
        return
    for record in manager.records:
        source = f"{record.distribution} {record.version}".strip() or record.origin
        say(f"{record.state:8} {record.name} ({source})" + (f": {record.why()}" if record.reason else ""))
    for kind, offered in (("memory", backends), ("vectors", stores)):
        for offer in offered:
            say(f"{kind:8} {offer['name']}{' (chosen)' if offer['chosen'] else ''}")
    say(f"components: {', '.join(str(c['type']) for c in components)}")
