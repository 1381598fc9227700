"""Calculator: an arithmetic expression, mostly as an agent's tool."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flowrunner import Component, Input, Output, RunContext

from .arithmetic import evaluate, show_number


class Calculator(Component):
    """Evaluate an arithmetic expression."""

    type_name = "CalculatorComponent"
    display_name = "Calculator"
    inputs = (Input("expression", "str", tool=True, info="such as 4 * (2 + 3) ** 2 / 7"),)
    outputs = (Output("result", "Data"),)

    def run(self, context: RunContext, /, *, expression: str) -> Mapping[str, Any]:
        """Return the result, or why there is none, as an object."""
        return {self.outputs[0].name: work_out(expression)}


class CalculatorTool(Calculator):
    """Evaluate an arithmetic expression, under the older names of type and output."""

    type_name = "CalculatorTool"
    outputs = (Output("api_run_model", "Data"),)


def work_out(expression: str) -> dict[str, Any]:
    """Return the result, or the error and the input, so that whoever asks (often a model) can mend the question."""
    try:
        return {"result": show_number(evaluate(expression))}
    except ValueError as error:
        return {"error": str(error), "input": expression}
