"""Write File: save a value as one of the owner's files."""

from __future__ import annotations

import csv
import html
import io
from collections.abc import Mapping, Sequence
from typing import Any, Final

from flowrunner import Component, Input, Message, Output, RunContext, TextBudget, text_of

from .tables import cell_text, columns_of, is_table, markdown_table
from .values import as_table, as_text, json_text

#: What a format is called, and how names of its files end.
_ENDS: Final[Mapping[str, str]] = {
    "csv": "csv",
    "tsv": "tsv",
    "json": "json",
    "jsonl": "jsonl",
    "markdown": "md",
    "md": "md",
    "txt": "txt",
    "text": "txt",
    "log": "log",
    "html": "html",
    "xml": "xml",
    "yaml": "yaml",
    "docs": "txt",
    "slides": "txt",
}
#: By a word in the place, which field says the format.
_PLACES: Final = {"aws": "aws_format", "s3": "aws_format", "google": "gdrive_format"}
_LONGEST_NAME: Final = 200


class SaveToFile(Component):
    """Store a value as a file among the owner's uploads, and return its name."""

    type_name = "SaveToFile"
    aliases = ("SaveToFileComponent", "SaveFile", "WriteFile")
    display_name = "Write File"
    blocking = True
    inputs = (
        Input(
            "input",
            "any",
            accepts=("Data", "Table", "Message"),
            tool=True,
            info="the value to write",
            aliases=("input_value", "message", "data", "df", "dataframe"),
        ),
        Input("file_name", "str", tool=True, aliases=("file_path",), info="the file name, with or without extension"),
        Input(
            "file_format",
            "str",
            tool=True,
            info="csv, tsv, json, jsonl, markdown, txt or html; blank: by storage_location",
        ),
        Input("append_mode", "bool", default=False, info="append to the file"),
        Input("storage_location", "any", info="selects which format applies; the file is always stored on this server"),
        Input("local_format", "str", default="", info="the format if storage_location is Local"),
        Input("aws_format", "str", default="", info="the format if storage_location is AWS"),
        Input("gdrive_format", "str", default="", info="the format if storage_location is Google Drive"),
        *(Input(name, "str") for name in ("bucket_name", "aws_region", "s3_prefix", "folder_id", "input_type")),
        *(Input(name, "secret") for name in ("aws_access_key_id", "aws_secret_access_key", "service_account_key")),
    )
    outputs = (Output("message", aliases=("confirmation", "file_path_output", "result")),)

    def run(self, context: RunContext, /, **values: Any) -> Mapping[str, Any]:
        """Return the name under which the file is found.

        :raises ValueError: without a name, for a format that is not written, and where there is no room.
        """
        if context.save_file is None:
            raise ValueError("this run cannot store files")
        name, form = _name_and_format(values)
        append = values["append_mode"]
        made = _written(values["input"], form, context.text_budget(), head=not append)
        if append and not made.endswith("\n"):
            made += "\n"
        path = context.save_file(name, made.encode("utf-8", "replace"), append=append)
        return {"message": Message(text=f"Saved as {path}", files=(path,), flow_id=context.flow_id)}


def _name_and_format(values: Mapping[str, Any]) -> tuple[str, str]:
    """Return the name of the file with its end, and the format."""
    given = text_of(values["file_name"]).strip().replace("\\", "/").rpartition("/")[2]
    if not given.strip("."):
        raise ValueError("file_name is empty")
    place = _place(values["storage_location"])
    field = next((field for word, field in _PLACES.items() if word in place), "local_format")
    stem, dot, end = given.rpartition(".")
    own = end.lower() if dot and stem and end.lower() in _ENDS else ""
    form = (text_of(values["file_format"]) or own or text_of(values[field]) or "txt").strip().lower()
    if form in ("excel", "xlsx", "parquet", "zip", "jpg", "mp3"):
        raise ValueError(f"files of the format {form} cannot be written; use csv, json, markdown, txt or html")
    if form not in _ENDS:
        raise ValueError(f"unknown format {form[:40]}; must be one of {', '.join(_ENDS)}")
    name = given if own else f"{given[:_LONGEST_NAME]}.{_ENDS[form]}"
    return name, form


def _place(value: Any) -> str:
    rows = value if isinstance(value, (list, tuple)) else [value]
    chosen = [row for row in rows if isinstance(row, Mapping)]
    return text_of(chosen[0].get("name") if chosen else value).lower()


def _written(value: Any, form: str, budget: TextBudget, *, head: bool) -> str:
    """Return a value in a format.

    :param head: write the names of columns first.
    """
    if form in ("csv", "tsv"):
        made = _separated(as_table(value), "\t" if form == "tsv" else ",", head=head)
    elif form == "json":
        made = json_text(_plain(value))
    elif form == "jsonl":
        made = "".join(json_text(row, indent=None) + "\n" for row in as_table(value))
    elif form in ("markdown", "md") and is_table(value):
        made = markdown_table(value)
    elif form == "html" and is_table(value):
        made = _html(value)
    elif form in ("xml", "yaml") and not isinstance(value, (str, Message)):
        # JSON is YAML; of XML nobody could say which.
        made = json_text(_plain(value))
    else:
        made = as_text(value)
    budget.take(len(made))
    return made


def _plain(value: Any) -> Any:
    """Return what JSON is made of: of a message its text, read as JSON where it is such."""
    if isinstance(value, Message):
        return {"message": value.text}
    return {"message": value} if isinstance(value, str) else value


def _separated(rows: Sequence[Mapping[str, Any]], separator: str, *, head: bool) -> str:
    columns, made = columns_of(rows), io.StringIO()
    if len(columns) * len(rows) > 10_000_000:
        raise ValueError(f"a table of {len(rows)} rows and {len(columns)} columns is too large to be written")
    writer = csv.writer(made, delimiter=separator, lineterminator="\n")
    if head:
        writer.writerow(columns)
    writer.writerows([["" if (cell := row.get(name)) is None else text_of(cell) for name in columns] for row in rows])
    return made.getvalue()


def _html(rows: Sequence[Mapping[str, Any]]) -> str:
    columns = columns_of(rows)
    lines = [[html.escape(cell_text(row.get(name))) for name in columns] for row in rows]
    head = "".join(f"<th>{html.escape(name)}</th>" for name in columns)
    body = "\n".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in line) + "</tr>" for line in lines)
    return f"<table>\n<tr>{head}</tr>\n{body}\n</table>\n"
