"""Type Convert: convert between text, objects and tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flowrunner import Component, Input, Message, Output, RunContext

from .structured_text import read_structured
from .values import as_data, as_table, as_text, message_data


class TypeConverter(Component):
    """Convert a value to a message, an object and a table."""

    type_name = "TypeConverterComponent"
    display_name = "Type Convert"
    inputs = (
        Input("input_data", required=True, accepts=("Data", "Table")),
        Input("auto_parse", "bool", default=False, info="parse text that contains JSON or CSV"),
        Input("output_type", "str", default="Message", info="the output shown in an editor; all are available"),
    )
    outputs = (Output("message_output"), Output("data_output", "Data"), Output("dataframe_output", "Table"))

    def run(self, context: RunContext, /, *, input_data: Any, auto_parse: bool, output_type: str) -> Mapping[str, Any]:
        """Return all three forms."""
        is_text = isinstance(input_data, (str, Message))
        message = input_data if isinstance(input_data, Message) else None
        text = as_text(input_data)
        value = read_structured(text) if is_text and auto_parse else {"text": text} if is_text else input_data
        return {
            "message_output": message or Message(text=text, flow_id=context.flow_id),
            "data_output": {"records": value} if is_text and isinstance(value, list) else as_data(value),
            "dataframe_output": as_table(value),
        }


class MessageToData(Component):
    """Turn a message into an object with all its fields."""

    type_name = "MessagetoData"
    display_name = "Message to Data"
    inputs = (Input("message"),)
    outputs = (Output("data", "Data"),)

    def run(self, context: RunContext, /, *, message: Any) -> Mapping[str, Any]:
        """Return the fields; of a plain text only ``text``."""
        return {"data": message_data(message) if isinstance(message, Message) else as_data(message)}
