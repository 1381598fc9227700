"""``flowrunner explain``: show the sessions of a flow without running it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flowrunner.cli.output import say
from flowrunner.cli.owners import print_json
from flowrunner.errors import FlowNotFound

if TYPE_CHECKING:
    from flowrunner.flows.model import Flow


@click.command("explain")
@click.argument("flow")
@click.option("--session-id", default="", help="Session id sent with the request.")
@click.option("--flows-dir", type=click.Path(exists=True, file_okay=False), help="Folder of flow files.")
@click.option("--plugins-dir", type=click.Path(exists=True, file_okay=False), help="Folder of plugins.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def explain_command(flow: str, session_id: str, flows_dir: str | None, plugins_dir: str | None, as_json: bool) -> None:
    """Show for each component of FLOW (a file, an id or an endpoint name) the session it will use.

    Also shows what decides the session, whether the component reads or writes messages, and warnings.
    """
    from flowrunner.cli.placeholders import with_stand_ins
    from flowrunner.engine.explain import explain
    from flowrunner.engine.plan import make_plan
    from flowrunner.site.building import load_plugins

    overrides = {"FLOWS_DIR": flows_dir, "PLUGINS_DIR": plugins_dir}
    manager, settings = load_plugins({}, overrides=overrides)
    found = _find(flow, settings)
    flow_with_all, registry, unknown = with_stand_ins(found, manager.registry)
    plan = make_plan(flow_with_all, registry)
    explanation = explain(plan, session_id=session_id, policy=settings.session_policy)
    warnings = [*unknown, *explanation.warnings]
    if as_json:
        shown = {"flow": found.name, "components": [row.to_json() for row in explanation.rows]}
        print_json({**shown, "warnings": warnings})
        return
    say(f"{found.name} ({found.id})")
    for row in explanation.rows:
        does = " and ".join(word for word, yes in (("reads", row.reads), ("writes", row.writes)) if yes)
        session = row.session.id if row.session else "?"
        say(
            f"  {row.component} ({row.vertex}): session {session}, decided by {row.decided_by}"
            + (f"; {does} messages" if does else "")
        )
    for warning in warnings:
        say(f"  warning: {warning}")


def _find(name: str, settings: Any) -> Flow:
    from flowrunner.cli.flowfile import is_flow_file, read_flow_file
    from flowrunner.cli.local_flow import not_found
    from flowrunner.flows.library import FolderLibrary

    if is_flow_file(name):
        return read_flow_file(Path(name))
    library = FolderLibrary([Path(folder).expanduser().absolute() for folder in settings.flows_dir])
    found = library.find(name)
    if found is None:
        names = [flow.endpoint_name or flow.id for flow in library.flows()]
        raise not_found(FlowNotFound(f"Flow identifier {name} not found"), name, names)
    return found
