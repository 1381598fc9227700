"""Text Output: return a text without storing it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flowrunner import Component, Input, Message, Output, RunContext

from .values import as_text


class TextOutput(Component):
    """Return a text without storing it."""

    type_name = "TextOutput"
    display_name = "Text Output"
    output_kind = "text"
    streams_through = ("input_value",)
    pure = True
    inputs = (Input("input_value", accepts=("Data", "Table")),)
    outputs = (Output("text"),)

    def run(self, context: RunContext, /, *, input_value: Any) -> Mapping[str, Any]:
        """Return the text."""
        return {"text": Message(text=as_text(input_value), flow_id=context.flow_id)}
