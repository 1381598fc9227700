"""``flowrunner ingest``: load files into the collections of a flow."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flowrunner.cli.output import say
from flowrunner.cli.progress import progress
from flowrunner.errors import BadRequest

if TYPE_CHECKING:
    from flowrunner.flows.model import Flow
    from flowrunner.runner import Runner


@click.command("ingest")
@click.argument("flow")
@click.argument("files", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option("--component", help="Id of the component that reads the files, if several do.")
@click.option("--owner", default="local", show_default=True, help="Owner of the collection.")
@click.option("--flows-dir", type=click.Path(exists=True, file_okay=False), help="Folder of flow files.")
@click.option("--data-dir", type=click.Path(path_type=Path), help="Folder for the database.")
def ingest_command(
    flow: str, files: tuple[Path, ...], component: str | None, owner: str, flows_dir: str | None, data_dir: Path | None
) -> None:
    """Load FILES, and the files in folders, into the collections of FLOW.

    Runs the part of the flow that fills collections once for each file, or once as it
    is without FILES. A file that was loaded before is replaced.
    """
    from flowrunner.app import create_app, runner_of
    from flowrunner.cli.flowfile import is_flow_file, read_flow_file
    from flowrunner.cli.local_flow import find_flow
    from flowrunner.engine.ingesting import ingesting_part
    from flowrunner.identity import Identity

    path = Path(flow) if is_flow_file(flow) else None
    runner = runner_of(
        create_app(flows_dir=(flows_dir,) if flows_dir else None, data_dir=data_dir, auth="none", memory="in-memory")
    )
    try:
        identity = Identity(owner)
        found = find_flow(runner, flow, identity) if path is None else read_flow_file(path)
        part, fillers = ingesting_part(found, runner.plugins.registry)
        names = sorted(set(fillers.values()))
        if files:
            target = _reader(runner, part, component)
            several = _expand(files)
            again = "Files loaded so far are kept; run the command again to load all of them."
            with progress("files", len(several), go_on=again) as shown:
                for one in several:
                    _ingest(runner, part, identity, target, one, names)
                    shown.add()
        else:
            _run(runner, part, identity, {})
        kept = {one.name: one for one in runner.vectors.for_owner(owner).collections()}
    finally:
        runner.close()
    for name in names:
        summary = kept.get(name)
        count = f"{summary.chunks} chunks of {summary.documents} documents" if summary else "nothing"
        say(f"{name}: {count}")


def _reader(runner: Runner, part: Flow, component: str | None) -> tuple[str, str]:
    """Return the vertex that reads files, and its input.

    :raises BadRequest: if there is none, or which one is not clear.
    """
    found: dict[str, str] = {}
    for vertex in part.vertices:
        offered = runner.plugins.registry.component(vertex.type)
        if offered is not None and offered.files_input is not None:
            found[vertex.id] = offered.files_input
    if component is not None:
        if component not in found:
            raise BadRequest(f"{component} does not read files; these components do: {', '.join(found) or 'none'}.")
        return component, found[component]
    if len(found) != 1:
        what = f"{', '.join(found)}; choose one with --component" if found else "none"
        raise BadRequest(f"One component must read the files, and in what fills collections there are: {what}.")
    return next(iter(found.items()))


def _expand(files: tuple[Path, ...]) -> list[Path]:
    found: list[Path] = []
    for path in files:
        found += sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    return found


def _ingest(
    runner: Runner, part: Flow, identity: Any, target: tuple[str, str], path: Path, collections: list[str]
) -> None:
    """Store one file: as an upload that is there while it is read."""
    uploads, vectors = runner.stores.files, runner.vectors.for_owner(identity.id)
    with path.open("rb") as opened:
        kept = uploads.save(identity.id, opened, name=path.name, flow_id=part.id)
    try:
        for name in collections:
            vectors.delete(name, document=kept.path)
        _run(runner, part, identity, {target[0]: {target[1]: kept.path}})
    finally:
        uploads.delete(kept)


def _run(runner: Runner, part: Flow, identity: Any, tweaks: dict[str, Any]) -> None:
    from flowrunner.engine.request import RunRequest

    runner.execute(part, RunRequest(tweaks=tweaks), identity)
