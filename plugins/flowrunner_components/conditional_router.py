"""If-Else: compare a text, and continue in one of two branches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flowrunner import Component, Input, Message, Output, RunContext

from .comparisons import OPERATORS, compare
from .values import as_text


class ConditionalRouter(Component):
    """Compare a text and pass it, or the message for the result, to the branch that applies."""

    type_name = "ConditionalRouter"
    display_name = "If-Else"
    streams_through = ("input_text",)
    inputs = (
        Input("input_text", "str", required=True),
        Input("operator", "str", default="equals", options=OPERATORS),
        Input("match_text", "str"),
        Input("case_sensitive", "bool", default=True),
        Input(
            "true_case_message", accepts=("Data",), info="value to pass on if the condition is true; default: the text"
        ),
        Input("false_case_message", accepts=("Data",), info="value to pass on if it is false; default: the text"),
        Input("message", accepts=("Data",), info="value to pass on in both cases, in older flows"),
        Input("max_iterations", "int", default=10, info="in a cycle: maximum number of comparisons"),
        Input(
            "default_route",
            "str",
            default="false_result",
            options=("true_result", "false_result"),
            info="in a cycle: the branch taken the last time, preferably one that leaves the cycle",
        ),
    )
    outputs = (Output("true_result"), Output("false_result"))

    def run(
        self,
        context: RunContext,
        /,
        *,
        input_text: str,
        operator: str,
        match_text: str,
        case_sensitive: bool,
        true_case_message: Any,
        false_case_message: Any,
        message: Any,
        max_iterations: int,
        default_route: str,
    ) -> Mapping[str, Any]:
        """Return the branch that is taken, and only that.

        :raises ValueError: for an unknown operator or a regular expression that cannot be used.
        """
        holds = compare(operator or OPERATORS[0], input_text, match_text, case_sensitive=case_sensitive)
        if context.leads_back and context.iteration >= max_iterations:
            holds = self._last_branch(context, default_route) == "true_result"
        chosen = true_case_message if holds else false_case_message
        passed = next((value for value in (chosen, message) if not _is_blank(value)), input_text)
        return {"true_result" if holds else "false_result": _passed_on(context, passed)}

    def rounds_with(self, settings: Mapping[str, Any]) -> int:
        """Return how often it compares where its branches lead back to it."""
        return max(1, int(settings.get("max_iterations") or 1))

    def _last_branch(self, context: RunContext, wanted: str) -> str:
        """Return the branch that ends a cycle: the wanted one, unless that leads back and the other does not."""
        out = [output.name for output in self.outputs if output.name not in context.leads_back]
        return wanted if wanted in out or not out else out[0]


def _is_blank(value: Any) -> bool:
    return value is None or value == "" or (isinstance(value, Message) and not value.text)


def _passed_on(context: RunContext, value: Any) -> Any:
    """Return what goes on: an object as it is, anything else as a text that is not a turn of its own."""
    if isinstance(value, Mapping):
        return value
    return Message(
        text=as_text(value), files=value.files if isinstance(value, Message) else (), flow_id=context.flow_id
    )
