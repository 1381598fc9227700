"""Loop: run the components behind it once for each item of a list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from flowrunner import Component, Input, Message, Output, RunContext

from .values import Data, as_data, as_table


class Loop(Component):
    """Process a list item by item, and collect the results."""

    type_name = "LoopComponent"
    aliases = ("Loop",)
    display_name = "Loop"
    inputs = (
        Input(
            "data",
            "any",
            accepts=("Table", "Data", "Message"),
            info="the list; a single object is treated as a list with one item",
        ),
    )
    outputs = (Output("item", "Data"), Output("done", "Table"))
    loop_output: ClassVar[str | None] = "item"

    def run(self, context: RunContext, /, *, data: Any) -> Mapping[str, Any]:
        """Return the items; the engine hands them out."""
        return {"item": [] if data in (None, "") else _items(data)}

    def finish_loop(self, returned: Sequence[Any]) -> Mapping[str, Any]:
        """Return a row for whatever came back, in order."""
        rows: list[Data] = []
        for value in returned:
            rows += [_row(one) for one in value] if isinstance(value, (list, tuple)) else [_row(value)]
        return {"done": rows}


def _items(data: Any) -> list[Data]:
    return [_row(data)] if isinstance(data, Message) else as_table(data)


def _row(value: Any) -> Data:
    return {"text": value.text} if isinstance(value, Message) else as_data(value)
