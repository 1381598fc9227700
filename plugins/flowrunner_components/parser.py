"""Parser and its older names: format objects and tables as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from flowrunner import Component, Input, Message, Output, RunContext

from .templates import fill, fill_rows, look_into
from .values import Data, Table, as_text, json_text, message_data, shown_text

STRINGIFY: Final = "Stringify"


class Parser(Component):
    """Format an object, or each row of a table, with a template, or show it whole."""

    type_name = "ParserComponent"
    aliases = ("parser",)
    display_name = "Parser"
    inputs = (
        Input("input_data", "Data", required=True, accepts=("Table", "Message")),
        Input("mode", "str", default="Parser", options=("Parser", STRINGIFY)),
        Input("pattern", "str", default="Text: {text}", aliases=("template",), info="text with {fields}"),
        Input("sep", "str", default="\n", info="separator between rows"),
        Input("clean_data", "bool", default=True, info="in Stringify: leave out empty rows of a table"),
    )
    outputs = (Output("parsed_text", aliases=("parse_combined_text",)),)

    def run(
        self, context: RunContext, /, *, input_data: Any, mode: str, pattern: str, sep: str, clean_data: bool
    ) -> Mapping[str, Any]:
        """Return the text.

        :raises ValueError: for a mode that there is not.
        """
        if mode not in ("", "Parser", STRINGIFY):
            raise ValueError(f"mode is {mode!r}; must be Parser or {STRINGIFY}")
        if mode == STRINGIFY:
            text = shown_text(input_data, clean=clean_data)
        else:
            rows = (look_into(row) for row in rows_of(input_data))
            text = fill_rows(pattern, rows, sep, context.text_budget())
        return {"parsed_text": Message(text=text, flow_id=context.flow_id)}


class ParseData(Component):
    """Format each object with a template: as one text, and as a list of objects with their texts."""

    type_name = "ParseData"
    display_name = "Data to Message"
    inputs = (
        Input("data", "Data", required=True, accepts=("Table", "Message"), many=True),
        Input("template", "str", default="{text}", info="text with {fields}; {data} is the whole object"),
        Input("sep", "str", default="\n"),
    )
    outputs = (Output("text", aliases=("prompt",)), Output("data_list", "Data"))

    def run(self, context: RunContext, /, *, data: Any, template: str, sep: str) -> Mapping[str, Any]:
        """Return the joined text and the objects."""
        rows = rows_of(data)
        budget = context.text_budget()
        texts = [fill(template, look_into({"data": json_text(row, indent=None), **row}), budget) for row in rows]
        budget.take(len(sep) * len(texts))
        listed = [{**row, "text": text} for row, text in zip(rows, texts, strict=True)]
        return {"text": Message(text=sep.join(texts), flow_id=context.flow_id), "data_list": listed}


class ParseDataFrame(Component):
    """Format each row of a table with a template, as one text."""

    type_name = "ParseDataFrame"
    display_name = "Parse DataFrame"
    inputs = (
        Input("df", "Table", accepts=("Data",)),
        Input("template", "str", default="{text}", info="text with {columns}"),
        Input("sep", "str", default="\n"),
    )
    outputs = (Output("text"),)

    def run(self, context: RunContext, /, *, df: Any, template: str, sep: str) -> Mapping[str, Any]:
        """Return the joined text."""
        text = fill_rows(template, (look_into(row) for row in rows_of(df)), sep, context.text_budget())
        return {"text": Message(text=text, flow_id=context.flow_id)}


def rows_of(value: Any) -> Table:
    """Return what is written by the template once: each row of a table, each item of a list, one object."""
    if value is None or value == "":
        return []
    if isinstance(value, (list, tuple)):
        return [_row(item) for item in value]
    return [_row(value)]


def _row(value: Any) -> Data:
    if isinstance(value, Message):
        return message_data(value)
    return dict(value) if isinstance(value, Mapping) else {"text": as_text(value)}
