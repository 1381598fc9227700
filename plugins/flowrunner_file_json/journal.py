"""Change several files atomically, with a journal of pending changes.

First the new files are written beside the old ones. Then the note is: from that moment on the
change is made. Then the files take their places, and the note goes. Whoever dies in between leaves
the note to the next one who wants to use the store.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from flowrunner_file_json.files import replace_file, set_aside, sync_folder, write_new

logger = logging.getLogger("flowrunner")

_BESIDE: Final = ".new"


def replace_together(note: Path, contents: Mapping[Path, bytes | None]) -> None:
    """Give several files of one folder new contents, or remove them, all or none.

    :param note: the file that holds the note.
    :param contents: the new content by file; None removes it.
    :raises OSError: if that fails; nothing is then changed.
    """
    written: list[Path] = []
    try:
        for path, content in contents.items():
            if content is not None:
                written.append(_beside(path))
                write_new(written[-1], content)
        if written:
            sync_folder(written[0].parent)
        told = {
            "replace": [path.name for path, content in contents.items() if content is not None],
            "remove": [path.name for path, content in contents.items() if content is None],
        }
        replace_file(note, json.dumps(told).encode())
    except OSError:
        for path in written:
            path.unlink(missing_ok=True)
        raise
    folder = next(iter(contents)).parent
    complete(note, folder)


def complete(note: Path, folder: Path) -> None:
    """Do what a note says, if there is one; what has been done already is left as it is.

    A note that somebody damaged is set aside with what was to be written: nobody was told that it had been.
    """
    if not note.exists():
        return
    told = _read(note)
    if told is None:
        _give_up(note, folder)
        return
    for name in told["replace"]:
        beside = _beside(folder / name)
        if beside.exists():
            beside.replace(folder / name)
    for name in told["remove"]:
        (folder / name).unlink(missing_ok=True)
    sync_folder(folder)
    note.unlink()
    sync_folder(note.parent)


def _read(note: Path) -> Mapping[str, list[str]] | None:
    """Return what a note says; None if it cannot be read."""
    try:
        told = json.loads(note.read_bytes())
        names = [*told["replace"], *told["remove"]]
    except (IsADirectoryError, ValueError, TypeError, LookupError, RecursionError):
        return None
    whole = all(isinstance(name, str) and Path(name).name == name for name in names)
    return told if whole else None


def _give_up(note: Path, folder: Path) -> None:
    kept = [set_aside(path).name for path in sorted(folder.glob("*" + _BESIDE))]
    aside = set_aside(note)
    logger.error(
        "The file %s, which lists unfinished changes, is damaged and was renamed to %s. Conversations that were changed"
        " together when a process died may be changed in part; the new versions of their files are in %s: %s.",
        note,
        aside.name,
        folder,
        ", ".join(kept) or "nothing",
    )


def remove_leftovers(note: Path, folder: Path) -> None:
    """Remove new files that were written and never announced by a note."""
    if not note.exists():
        for path in folder.glob("*" + _BESIDE):
            path.unlink()


def _beside(path: Path) -> Path:
    return path.with_name(path.name + _BESIDE)
