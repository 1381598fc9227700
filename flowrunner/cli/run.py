"""``flowrunner run``: a flow from the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from flowrunner.errors import RequestInvalid


@click.command("run")
@click.argument("flow")
@click.argument("text", required=False)
@click.option("--session-id", default="", help="Session of the run.")
@click.option("--tweak", "tweaks", multiple=True, metavar="COMPONENT.FIELD=VALUE", help="Change a setting; repeatable.")
@click.option("--json", "as_json", is_flag=True, help="Print the whole answer instead of the text.")
@click.option("--flows-dir", type=click.Path(exists=True, file_okay=False), help="Folder of flow files.")
@click.option("--data-dir", type=click.Path(path_type=Path), help="Folder for the database.")
def run_command(
    flow: str, text: str | None, session_id: str, tweaks: tuple[str, ...], as_json: bool, flows_dir: str | None,
    data_dir: Path | None,
) -> None:  # fmt: skip
    """Run FLOW (a flow file, an id or an endpoint name) on TEXT and print what it says."""
    from flowrunner.app import create_app

    path = Path(flow)
    if path.is_file() and flows_dir is None:
        flows_dir = str(path.parent)
    app = create_app(flows_dir=flows_dir, data_dir=data_dir, auth="none")
    runner = app.extensions["flowrunner"]["flowrunner"]
    name = _name_in(path) if path.is_file() else flow
    result = runner.run(name, text, session_id=session_id, tweaks=read_tweaks(tweaks))
    click.echo(json.dumps(result.to_json(), indent=2, ensure_ascii=False) if as_json else result.text)


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


def _name_in(path: Path) -> str:
    from flowrunner.flows.reading import read_flows

    flow = read_flows(path.read_bytes(), name_hint=path.stem, endpoint_hint=path.stem)[0]
    return flow.id
