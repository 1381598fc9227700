"""File: uploads as text and rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from flowrunner import Component, Input, Message, Output, RunContext, json_text, text_of

from .file_access import FileRefused, FoundFile, find_file
from .readers import SUFFIXES, FileUnreadable, parse_json, read_rows, read_text


class File(Component):
    """Read uploaded files: text, Markdown, CSV, JSON, HTML, PDF and Word documents."""

    type_name = "File"
    aliases = ("FileComponent", "ReadFile")
    display_name = "Read File"
    blocking = True
    files_input: ClassVar[str | None] = "path"
    inputs = (
        Input("path", "str", many=True, aliases=("files",), info="names of uploads"),
        Input(
            "file_path", "any", accepts=("Data", "Message", "Table"), many=True, info="files named by other components"
        ),
        Input("file_path_str", "str", info="another file name; set by an agent"),
        Input("separator", "str", default="\n\n", info="separator between the texts of several files"),
        Input("silent_errors", "bool", default=False, info="leave out files that cannot be read"),
        Input("ignore_unsupported_extensions", "bool", default=True, info="leave out files of unknown kinds"),
        Input("text_encoding", "str", info="encoding of text files; default: UTF-8"),
    )
    outputs = (
        Output("message", aliases=("advanced_markdown", "text")),
        Output("data", "Data", aliases=("data_list",)),
        Output("dataframe", "Table", aliases=("structured", "advanced_dataframe")),
        Output("json", "Data"),
        Output("path", aliases=("the_file_path",)),
    )

    def run(self, context: RunContext, /, **values: Any) -> Mapping[str, Any]:
        """Return what the files hold, in the forms that are wanted; nothing where no file is named.

        :raises ValueError: if a file is not there or cannot be read.
        """
        read = list(_read_all(context, values))
        wanted = context.wanted or {"message"}
        made: dict[str, Any] = {}
        if "message" in wanted:
            text = values["separator"].join(text for _, text in read)
            made["message"] = Message(text=text, flow_id=context.flow_id)
        if "data" in wanted:
            made["data"] = one_or_all([_row(found, text) for found, text in read])
        if "dataframe" in wanted:
            made["dataframe"] = as_table(read)
        if "json" in wanted:
            made["json"] = one_or_all([as_json(found, text) for found, text in read])
        if "path" in wanted:
            made["path"] = Message(text="\n".join(found.name for found, _ in read), flow_id=context.flow_id)
        return made


def _read_all(context: RunContext, values: Mapping[str, Any]) -> Iterator[tuple[FoundFile, str]]:
    for name in names_of(values):
        context.cancelled.raise_if_set()
        try:
            found = find_file(context, name)
            if found.suffix not in SUFFIXES and values["ignore_unsupported_extensions"] and values["silent_errors"]:
                continue
            yield found, read_text(found, encoding=values["text_encoding"], cancelled=context.cancelled)
        except (FileRefused, FileUnreadable):
            if not values["silent_errors"]:
                raise


def names_of(values: Mapping[str, Any]) -> list[str]:
    """Return the names of files in settings and what edges brought, each once."""
    given = [*values["path"]]
    for item in values["file_path"]:
        if isinstance(item, Mapping):
            item = item.get("file_path") or item.get("path") or item.get("text")
        elif isinstance(item, Message) and item.files:
            given += [one if isinstance(one, str) else one.get("path", "") for one in item.files]
            continue
        given += text_of(item).splitlines()
    given.append(values["file_path_str"])
    return list(dict.fromkeys(name.strip() for name in map(text_of, given) if name.strip()))


def as_table(read: list[tuple[FoundFile, str]]) -> list[dict[str, Any]]:
    """Return the rows of tables, and a row for any other file."""
    rows: list[dict[str, Any]] = []
    for found, text in read:
        rows += read_rows(found, text) or [_row(found, text)]
    return rows


def as_json(found: FoundFile, text: str) -> Any:
    """Return the object that a file holds; a list under ``results``, any other text under ``text``."""
    rows = read_rows(found, text)
    if rows is not None:
        return {"results": rows}
    value = parse_json(text) if found.suffix in ("json", "txt", "md", "") else None
    return value if isinstance(value, dict) else {"text": text if value is None else json_text(value)}


def one_or_all(items: list[Any]) -> Any:
    """Return the only item, or the list of all."""
    return items[0] if len(items) == 1 else items


def _row(found: FoundFile, text: str) -> dict[str, Any]:
    return {"file_path": found.name, "text": text}
