"""Text Input: a text set by the flow's author or by the request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flowrunner import Component, Input, Message, Output, RunContext


class TextInput(Component):
    """Return a text set by the flow's author or the request; it is not a turn of the conversation."""

    type_name = "TextInput"
    display_name = "Text Input"
    input_kind = "text"
    streams_through = ("input_value",)
    pure = True
    inputs = (Input("input_value", "str", tool=True),)
    outputs = (Output("text"),)

    def run(self, context: RunContext, /, *, input_value: str) -> Mapping[str, Any]:
        """Return the text."""
        return {"text": Message(text=input_value, flow_id=context.flow_id)}
