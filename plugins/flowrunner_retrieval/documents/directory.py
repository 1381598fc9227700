"""Directory: the files of a folder that the operator permits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flowrunner import Component, Input, Output, RunContext

from .file_access import files_below, find_folder
from .readers import SUFFIXES, FileUnreadable, read_text


class Directory(Component):
    """Read the files in a folder that the operator allows, one row per file."""

    type_name = "Directory"
    display_name = "Directory"
    blocking = True
    inputs = (
        Input("path", "str", default=".", tool=True, info="a folder in one listed in FLOWRUNNER_DOCUMENT_FOLDERS"),
        Input("types", "str", many=True, info="file extensions, such as pdf; default: all readable files"),
        Input("depth", "int", default=0, info="levels of subfolders to read"),
        Input("recursive", "bool", default=False, info="read all subfolders"),
        Input("load_hidden", "bool", default=False, info="include hidden files"),
        Input("silent_errors", "bool", default=False, info="leave out files that cannot be read"),
    )
    outputs = (Output("dataframe", "Table"), Output("data", "Data"))

    def run(self, context: RunContext, /, **values: Any) -> Mapping[str, Any]:
        """Return a row for each file.

        :raises ValueError: if the folder may not be read, or a file in it cannot be.
        """
        folder = find_folder(context, values["path"])
        wanted = {word.strip().lower().lstrip(".*") for word in values["types"]} or SUFFIXES
        depth = 100 if values["recursive"] else max(0, values["depth"])
        rows = []
        for found in files_below(folder, depth=depth, hidden=values["load_hidden"]):
            context.cancelled.raise_if_set()
            if found.suffix not in wanted:
                continue
            try:
                rows.append({"file_path": found.name, "text": read_text(found, cancelled=context.cancelled)})
            except FileUnreadable:
                if not values["silent_errors"]:
                    raise
        return {"dataframe": rows, "data": rows}
