"""``flowrunner run``: run a flow."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from flowrunner.cli.local_flow import open_flow, running_options
from flowrunner.cli.output import say
from flowrunner.cli.reply import reply
from flowrunner.cli.suggestions import with_hint
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
    help="Tweak a field of a component; may be repeated.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the whole answer as JSON instead of the text.")
@running_options
def run_command(
    flow: str, text: str | None, session_id: str, tweaks: tuple[str, ...], as_json: bool, **places: Any
) -> None:
    """Run FLOW (a flow file, an id or an endpoint name) with TEXT or standard input, and print its answer."""
    from flowrunner.engine.request import RunRequest
    from flowrunner.identity import LOCAL_IDENTITY

    changes = read_tweaks(tweaks)
    if text is None and not sys.stdin.isatty():
        text = sys.stdin.read().removesuffix("\n") or None
    asked = RunRequest(input_value=text, session_id=session_id, tweaks=changes)
    with open_flow(flow, **places) as (runner, found):
        refuse_unknown(runner, found, changes)
        if sys.stdout.isatty() and not as_json:
            reply(runner, found, asked)
            return
        result = runner.execute(found, asked, LOCAL_IDENTITY)
    say(json.dumps(result.to_json(), indent=2, ensure_ascii=False) if as_json else result.text)


def refuse_unknown(runner: Runner, flow: Flow, tweaks: dict[str, Any]) -> None:
    """Refuse tweaks that name what the flow does not have, which the API ignores.

    :raises RequestInvalid: with the names that are near.
    """
    from flowrunner.engine.targets import PROTECTED
    from flowrunner.flows.ports import SESSION_INPUT

    registry = runner.plugins.registry
    fields: dict[str, set[str]] = {}
    for vertex in flow.vertices:
        component = registry.component(vertex.type)
        known = (
            {SESSION_INPUT.name, *(one.name for one in component.inputs)}
            if component is not None
            else {SESSION_INPUT.name}
        )
        for name in {vertex.id, vertex.shown_name}:
            # A protected field is refused by the run itself, which says why.
            fields.setdefault(name, set()).update(
                known, vertex.settings, vertex.field_types, vertex.protected, PROTECTED
            )
    every = set().union(*fields.values())
    for name, value in tweaks.items():
        if not isinstance(value, dict):
            _refuse_field(name, every, "The components of this flow have")
        elif name not in fields:
            raise RequestInvalid(with_hint(f"This flow has no component {name}", name, sorted(fields)))
        else:
            for field in value:
                _refuse_field(field, fields[name], f"The component {name} has")


def _refuse_field(field: str, known: set[str], who: str) -> None:
    if field not in known:
        raise RequestInvalid(with_hint(f"{who} no field {field}", field, sorted(known)))


def read_tweaks(texts: tuple[str, ...]) -> dict[str, Any]:
    """Return tweaks written as ``COMPONENT.FIELD=VALUE`` (or ``FIELD=VALUE``); a value may be JSON.

    :raises RequestInvalid: for one that is not so written.
    """
    tweaks: dict[str, Any] = {}
    for text in texts:
        place, equals, value = text.partition("=")
        if not equals or not place:
            raise RequestInvalid(f"Invalid tweak {text!r}: use COMPONENT.FIELD=VALUE.")
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
