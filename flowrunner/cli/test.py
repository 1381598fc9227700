"""``flowrunner test``: replay recorded conversations against the flows."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flowrunner.cli.output import say
from flowrunner.errors import FlowInvalid, FlowRunnerError

if TYPE_CHECKING:
    from flowrunner.runner import Runner
    from flowrunner.testing.differences import Difference

SUFFIX = ".json"


@click.command("test")
@click.argument("flows", type=click.Path(exists=True, file_okay=False))
@click.argument("conversations", type=click.Path(path_type=Path))
@click.option("--record", "flow", metavar="FLOW", help="Record a conversation with FLOW.")
@click.option("--say", "says", multiple=True, metavar="TEXT", help="Message to send when recording; may be repeated.")
@click.option("--name", help="Name of the recording; default: the name of the flow.")
@click.option("--update", is_flag=True, help="Update the recordings with the current answers.")
@click.option("--json", "as_json", is_flag=True, help="Print the differences as JSON.")
@click.option("--plugins-dir", type=click.Path(exists=True, file_okay=False), help="Folder of plugins.")
def test_command(
    flows: str,
    conversations: Path,
    flow: str | None,
    says: tuple[str, ...],
    name: str | None,
    update: bool,
    as_json: bool,
    plugins_dir: str | None,
) -> None:
    """Replay recorded CONVERSATIONS (a file or a folder) against the flows in the folder FLOWS.

    Shows each component whose output differs, turn by turn; exit status 1 if any does.
    Components that call other services, such as models, are not run: they answer as recorded.
    """
    with _runner(flows, plugins_dir) as runner:
        if flow is not None:
            say(f"recorded {_record(runner, flow, says, conversations, name)}")
            return
        found = [(path, _compare(runner, path, update)) for path in _files(conversations)]
    if as_json:
        say(json.dumps([_report(path, differences) for path, differences in found], indent=2))
    else:
        _print(found, update)
    if any(differences for _, differences in found) and not update:
        raise SystemExit(1)


def _record(runner: Runner, flow: str, says: tuple[str, ...], folder: Path, name: str | None) -> Path:
    from flowrunner.testing.conversations import record, save

    if not says:
        raise FlowInvalid("Nothing to record: add --say TEXT, once for each turn.")
    path = folder if folder.suffix == SUFFIX else folder / f"{Path(name or flow).name}{SUFFIX}"
    save(record(runner, flow, says), path)
    return path


def _compare(runner: Runner, path: Path, update: bool) -> list[Difference]:
    from flowrunner.testing.conversations import load, replay, save
    from flowrunner.testing.differences import Difference, find_differences

    recorded = load(path)
    try:
        now = replay(runner, recorded)
    except FlowRunnerError as error:
        return [Difference(0, "", "", "", f"the flow {recorded.flow}", error.message)]
    if update:
        save(now, path)
    return find_differences(recorded, now)


def _files(place: Path) -> list[Path]:
    found = sorted(place.rglob(f"*{SUFFIX}")) if place.is_dir() else [place]
    if not found:
        raise FlowInvalid(f"{place} contains no recorded conversation; record one with --record FLOW --say TEXT.")
    return found


def _report(path: Path, differences: list[Difference]) -> dict[str, Any]:
    return {"file": str(path), "differences": [difference.to_json() for difference in differences]}


def _print(found: list[tuple[Path, list[Difference]]], update: bool) -> None:
    from flowrunner.testing.differences import show_differences

    for path, differences in found:
        if differences:
            say(show_differences(str(path), differences))
    changed = sum(bool(differences) for _, differences in found)
    word = "updated" if update else "changed"
    say(f"{len(found)} conversations, {changed} {word}")


@contextmanager
def _runner(flows: str, plugins_dir: str | None) -> Iterator[Runner]:
    """Give a runner that keeps nothing: conversations in memory, the rest in a folder that goes."""
    from flowrunner.app import create_app, runner_of

    with tempfile.TemporaryDirectory(prefix="flowrunner-test-") as folder:
        app = create_app(
            flows_dir=flows,
            plugins_dir=plugins_dir,
            data_dir=folder,
            memory="in-memory",
            auth="none",
            session_policy="flow_id",
            run_log=False,
        )
        runner = runner_of(app)
        try:
            yield runner
        finally:
            runner.close()
