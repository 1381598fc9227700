"""Which files a component may read: the owner's uploads, and files of permitted folders."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from flowrunner import BadRequest, RunContext

#: What older releases write before the name of an upload: when it came.
_STAMP: Final = re.compile(r"\d{4}-\d{2}-\d{2}_\d{2}-\d{2}-\d{2}_")
#: Files of one folder at most.
_MOST_FILES: Final = 10_000


class FileRefused(ValueError):
    """A file that is not there for this caller; the text says what to do."""


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file that may be read: the name by which the flow speaks of it, and where it lies."""

    name: str
    path: Path

    @property
    def short_name(self) -> str:
        """The name without folders."""
        return re.split(r"[/\\]", self.name)[-1]

    @property
    def suffix(self) -> str:
        """The end of the name, in lower case and without the dot."""
        return self.short_name.rpartition(".")[2].lower() if "." in self.short_name else ""


def find_file(context: RunContext, name: str) -> FoundFile:
    """Return the file that a flow names.

    An upload of the owner under that name; else one of the same name among the files of this flow or
    of the owner, for a flow that was made on another server; else a file of an allowed folder.

    :raises FileRefused: if there is none.
    """
    name = name.strip()
    for tried in _uploads(context, name):
        try:
            return FoundFile(name, Path(context.stored_file(tried)))
        except BadRequest:
            continue
    for folder in allowed_folders(context):
        found = _inside(folder, name)
        if found is not None and found.is_file():
            return FoundFile(name, found)
    shown = name if len(name) <= 200 else name[:200] + "…"
    short = re.split(r"[/\\]", shown)[-1]
    raise FileRefused(
        f"the file {shown} is not among your uploads: upload {short} to this flow, or give a file to"
        " 'flowrunner ingest' (FLOWRUNNER_DOCUMENT_FOLDERS lists the folders that flows may read)"
    )


def find_folder(context: RunContext, name: str) -> Path:
    """Return the folder that a flow names, within the folders that the operator allows.

    :raises FileRefused: if there is none.
    """
    allowed = allowed_folders(context)
    if not allowed:
        raise FileRefused(
            "no folder may be read: FLOWRUNNER_DOCUMENT_FOLDERS lists the folders that flows may read files from"
        )
    for folder in allowed:
        found = _inside(folder, name.strip() or ".")
        if found is not None and found.is_dir():
            return found
    raise FileRefused(f"the folder {name[:200]} is not in a folder listed in FLOWRUNNER_DOCUMENT_FOLDERS")


def files_below(folder: Path, *, depth: int, hidden: bool) -> Iterator[FoundFile]:
    """Yield the files of a folder, by name.

    :param depth: levels of subfolders to read; 0 for none.
    :param hidden: those whose name begins with a dot, too.
    """
    top, count = folder.resolve(), 0
    todo = [(folder, 0)]
    while todo:
        here, level = todo.pop()
        folders = []
        for path in sorted(here.iterdir()):
            if path.name.startswith(".") and not hidden:
                continue
            # What a link leads out of the folder is not in it.
            if not path.resolve().is_relative_to(top):
                continue
            if path.is_dir():
                if level < depth and not path.is_symlink():
                    folders.append((path, level + 1))
            elif path.is_file():
                count += 1
                if count > _MOST_FILES:
                    raise FileRefused(f"there are more than {_MOST_FILES} files in the folder")
                yield FoundFile(path.relative_to(folder).as_posix(), path)
        todo += reversed(folders)


def allowed_folders(context: RunContext) -> list[Path]:
    """Return the folders that the operator allows."""
    return [Path(name).expanduser().absolute() for name in getattr(context.settings, "document_folders", ())]


def _uploads(context: RunContext, name: str) -> Iterator[str]:
    yield name
    short = re.split(r"[/\\]", name)[-1]
    for one in dict.fromkeys((short, _STAMP.sub("", short))):
        yield f"{context.flow_id}/{one}"
        yield f"{context.owner}/{one}"


def _inside(folder: Path, name: str) -> Path | None:
    """Return where a name lies below a folder; None where it leads out of it, be it by a link."""
    try:
        top = folder.resolve()
        found = (top / name).resolve()
    except (OSError, ValueError, RuntimeError):
        return None
    return found if found.is_relative_to(top) else None
