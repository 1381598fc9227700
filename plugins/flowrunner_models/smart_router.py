"""Smart Router: a model chooses the branch that a text belongs to."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from flowrunner import Input, Message, Output, RunContext, text_of

from .factory import ModelUser
from .fields import MODEL_INPUTS
from .protocol import Turn
from .reasoning import set_apart, without_thoughts
from .usage import count

_NONE: Final = "NONE"
#: What may stand around the name of a category.
_AROUND: Final = " \t\r\n\"'.`*:,;!()[]{}<>“”‘’«»_#-"


class SmartRouter(ModelUser):
    """Let a model choose the branch for a text."""

    type_name = "SmartRouter"
    display_name = "Smart Router"
    inputs = (
        Input("input_text", required=True, accepts=("Data",), tool=True, info="the text to classify"),
        Input("routes", "any", info="rows of route_category, route_description and output_value"),
        Input("message", accepts=("Data",), info="value to pass on instead of the text"),
        Input("enable_else_output", "bool", default=False, info="add a branch for text that fits no category"),
        Input("custom_prompt", "str", info="additional instructions; {routes} and {input_text} are filled in"),
        *MODEL_INPUTS,
    )
    outputs = (Output("default_result"),)

    def run(self, context: RunContext, /, **values: Any) -> Mapping[str, Any]:
        """Return the branch that is taken, and only that; none where nothing fits and there is no other.

        :raises ValueError: if no route is given.
        :raises ModelFailed: if the model does not answer.
        """
        routes = _routes(values["routes"])
        if not routes:
            raise ValueError("no routes are set")
        text = text_of(values["input_text"])
        model = self.model_of(context, values)
        reply = model.ask(_turns(routes, text, values), cancelled=context.cancelled)
        count(context, model, reply)
        place = None if reply.refused else _find(reply.text, routes)
        given = values["message"] if text_of(values["message"]) else values["input_text"]
        if place is None:
            return {"default_result": _passed_on(context, given)} if values["enable_else_output"] else {}
        own = text_of(routes[place].get("output_value"))
        return {f"category_{place + 1}_result": _passed_on(context, own or given)}

    def outputs_for(self, settings: Mapping[str, Any]) -> Sequence[Output]:
        """Return an output for each route, and one for the rest."""
        names = [f"category_{number + 1}_result" for number in range(len(_routes(settings.get("routes"))))]
        return (*(Output(name) for name in names), *self.outputs)


def _routes(rows: Any) -> list[Mapping[str, Any]]:
    if not isinstance(rows, (list, tuple)):
        return []
    return [row for row in rows if isinstance(row, Mapping) and row.get("route_category")]


def _turns(routes: Sequence[Mapping[str, Any]], text: str, values: Mapping[str, Any]) -> list[Turn]:
    lines = []
    for route in routes:
        about = text_of(route.get("route_description"))
        lines.append(f"- {route['route_category']}" + (f": {about}" if about else ""))
    listed = "\n".join(lines)
    system = (
        f"Say which category the user's text belongs to:\n{listed}\nAnswer with the name of the category and nothing"
        f" else. If none fits, answer {_NONE}."
    )
    more = values["custom_prompt"].replace("{routes}", listed).replace("{input_text}", text)
    return [Turn("system", f"{system}\n\n{more}" if more else system), Turn("user", text)]


def _find(said: str, routes: Sequence[Mapping[str, Any]]) -> int | None:
    """Return the route that a model named: alone, in its last line, or as the one name among its words."""
    said = set_apart(said)[0] or without_thoughts(said)
    names = [str(route["route_category"]).strip().casefold() for route in routes]
    lines = [line for line in said.splitlines() if line.strip()]
    for part in (said, *lines[-1:]):
        word = part.strip(_AROUND).casefold()
        if word in names:
            return names.index(word)
        if word == _NONE.casefold():
            return None
    named = _named(said.casefold(), [*dict.fromkeys(names), _NONE.casefold()])
    return names.index(named[0]) if len(named) == 1 and named[0] in names else None


def _named(said: str, names: Sequence[str]) -> list[str]:
    """Return the names that stand in a text as whole words; one that is part of a longer one counts there only."""
    found = []
    for name in sorted(names, key=len, reverse=True):
        said, times = re.subn(rf"(?<![\w-]){re.escape(name)}(?![\w-])", "\0", said)
        if times:
            found.append(name)
    return found


def _passed_on(context: RunContext, value: Any) -> Any:
    if isinstance(value, Mapping):
        return value
    return Message(
        text=text_of(value), files=value.files if isinstance(value, Message) else (), flow_id=context.flow_id
    )
