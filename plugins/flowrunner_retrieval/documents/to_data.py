"""JSON to Data and CSV to Data: convert an upload or a text to objects."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from flowrunner import Component, Input, Output, RunContext, text_of

from .file_access import FoundFile, find_file
from .readers import parse_json, read_rows, read_text


class JsonToData(Component):
    """Read JSON of an upload or a text as an object, or as a list of objects."""

    type_name = "JSONtoData"
    aliases = ("JSONtoDataComponent",)
    display_name = "JSON to Data"
    blocking = True
    files_input: ClassVar[str | None] = "json_file"
    inputs = (
        Input("json_file", "str", info="an uploaded file"),
        Input("json_path", "str", info="name of an uploaded file"),
        Input("json_string", "str", tool=True, info="the JSON as text"),
    )
    outputs = (Output("data", "Data"),)

    def run(self, context: RunContext, /, *, json_file: Any, json_path: Any, json_string: Any) -> Mapping[str, Any]:
        """Return the object, or the list.

        :raises ValueError: if not exactly one of the three is given, or it is not JSON.
        """
        text = _text(context, "json", json_file, json_path, json_string)
        found = parse_json(text)
        if found is None and text.strip() != "null":
            raise ValueError("this is not JSON")
        if isinstance(found, list):
            return {"data": [item if isinstance(item, dict) else {"value": item} for item in found]}
        return {"data": found if isinstance(found, dict) else {"value": found}}


class CsvToData(Component):
    """Read CSV of an upload or a text as a list of objects."""

    type_name = "CSVtoData"
    aliases = ("CSVtoDataComponent",)
    display_name = "CSV to Data"
    blocking = True
    files_input: ClassVar[str | None] = "csv_file"
    inputs = (
        Input("csv_file", "str", info="an uploaded file"),
        Input("csv_path", "str", info="name of an uploaded file"),
        Input("csv_string", "str", tool=True, info="the CSV as text"),
        Input("text_key", "str", default="text", info="the column that holds the text"),
    )
    outputs = (Output("data_list", "Data"),)

    def run(
        self, context: RunContext, /, *, csv_file: Any, csv_path: Any, csv_string: Any, text_key: str
    ) -> Mapping[str, Any]:
        """Return an object for each row; the text of its column stands under ``text``, too.

        :raises ValueError: if not exactly one of the three is given, or it cannot be read.
        """
        text = _text(context, "csv", csv_file, csv_path, csv_string)
        rows = read_rows(FoundFile("rows.csv", Path()), text) or []
        return {"data_list": [{**row, "text": row[text_key]} if text_key in row else row for row in rows]}


def _text(context: RunContext, kind: str, *given: Any) -> str:
    """Return the text of the one of file, path and text that is given."""
    texts = [text_of(one) for one in given]
    if sum(bool(text.strip()) for text in texts) != 1:
        raise ValueError(f"set one of {kind}_file, {kind}_path and {kind}_string")
    if texts[2].strip():
        return texts[2]
    return read_text(find_file(context, texts[0] or texts[1]), cancelled=context.cancelled)
