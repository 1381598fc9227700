"""Combine Text: join two texts with a delimiter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flowrunner import Component, Input, Message, Output, RunContext


class CombineText(Component):
    """Join two texts with a delimiter."""

    type_name = "CombineText"
    display_name = "Combine Text"
    pure = True
    inputs = (
        Input("text1", "str", tool=True),
        Input("text2", "str", tool=True),
        Input("delimiter", "str", default=" "),
    )
    outputs = (Output("combined_text"),)

    def run(self, context: RunContext, /, *, text1: str, text2: str, delimiter: str) -> Mapping[str, Any]:
        """Return both texts as one."""
        return {"combined_text": Message(text=f"{text1}{delimiter}{text2}", flow_id=context.flow_id)}
