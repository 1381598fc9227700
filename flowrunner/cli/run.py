"""``flowrunner run``: run a flow."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flowrunner.cli.output import say
from flowrunner.cli.suggestions import did_you_mean
from flowrunner.errors import RequestInvalid

if TYPE_CHECKING:
    from flowrunner.flows.model import Flow
    from flowrunner.runner import Runner


@click.command("run")
@click.argument("flow")
@click.argument("text", required=False)
@click.option("--session-id", default="", help="Session id.")
@click.option(
    "--tweak",
    "tweaks",
    multiple=True,
    metavar="COMPONENT.FIELD=VALUE",
    help="Tweak a field of a component; repeatable.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the whole answer as JSON instead of the text.")
@click.option("--flows-dir", type=click.Path(exists=True, file_okay=False), help="Folder of flow files.")
@click.option("--data-dir", type=click.Path(path_type=Path), help="Folder for the database.")
@click.option("--plugins-dir", type=click.Path(exists=True, file_okay=False), help="Folder of plugins.")
@click.option("--memory", help="Memory backend.")
def run_command(
    flow: str, text: str | None, session_id: str, tweaks: tuple[str, ...], as_json: bool, flows_dir: str | None,
    data_dir: Path | None, plugins_dir: str | None, memory: str | None,
) -> None:  # fmt: skip
    """Run FLOW (a flow file, an id or an endpoint name) with TEXT or standard input, and print its answer."""
    from flowrunner.app import create_app, runner_of
    from flowrunner.cli.flowfile import is_flow_file, read_flow_file
    from flowrunner.engine.request import RunRequest
    from flowrunner.identity import LOCAL_IDENTITY

    changes = read_tweaks(tweaks)
    if text is None and not sys.stdin.isatty():
        text = sys.stdin.read().removesuffix("\n") or None
    path = Path(flow) if is_flow_file(flow) else None
    runner = runner_of(
        create_app(
            flows_dir=(flows_dir,) if flows_dir else None,
            data_dir=data_dir,
            plugins_dir=plugins_dir,
            memory=memory,
            auth="none",
        )
    )
    try:
        found = _find(runner, flow) if path is None else read_flow_file(path)
        asked = RunRequest(input_value=text, session_id=session_id, tweaks=changes)
        result = runner.execute(found, asked, LOCAL_IDENTITY)
    finally:
        runner.close()
    say(json.dumps(result.to_json(), indent=2, ensure_ascii=False) if as_json else result.text)


def _find(runner: Runner, flow: str) -> Flow:
    from flowrunner.errors import FlowNotFound
    from flowrunner.identity import LOCAL_IDENTITY

    try:
        return runner.find(flow, LOCAL_IDENTITY)
    except FlowNotFound as error:
        names = [one.endpoint_name or one.id for one in runner.library.folders.flows()]
        names += [one.endpoint_name or one.id for one in runner.stores.flows.list(LOCAL_IDENTITY.id)]
        hint = did_you_mean(flow, names)
        raise FlowNotFound(f"{error.message.rstrip('.')}; {hint}" if hint else error.message) from None


def read_tweaks(texts: tuple[str, ...]) -> dict[str, Any]:
    """Return tweaks written as ``COMPONENT.FIELD=VALUE`` (or ``FIELD=VALUE``); a value may be JSON.

    :raises RequestInvalid: for one that is not so written.
    """
    tweaks: dict[str, Any] = {}
    for text in texts:
        place, equals, value = text.partition("=")
        if not equals or not place:
            raise RequestInvalid(f"The tweak {text!r} is not of the form COMPONENT.FIELD=VALUE.")
        component, dot, field = place.rpartition(".")
        if dot:
            tweaks.setdefault(component, {})[field] = _value(value)
        else:
            tweaks[field] = _value(value)
    return tweaks


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
