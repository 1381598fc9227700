"""Change several files atomically, with a journal of pending changes.

First the new files are written beside the old ones. Then the note is: from that moment on the
change is made. Then the files take their places, and the note goes. Whoever dies in between leaves
the note to the next one who wants to use the store.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from flowrunner_file_json.files import replace_file, sync_folder, write_new

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
    """Do what a note says, if there is one; what has been done already is left as it is."""
    if not note.exists():
        return
    told = json.loads(note.read_bytes())
    for name in told["replace"]:
        beside = _beside(folder / name)
        if beside.exists():
            beside.replace(folder / name)
    for name in told["remove"]:
        (folder / name).unlink(missing_ok=True)
    sync_folder(folder)
    note.unlink()
    sync_folder(note.parent)


def remove_leftovers(note: Path, folder: Path) -> None:
    """Remove new files that were written and never announced by a note."""
    if not note.exists():
        for path in folder.glob("*" + _BESIDE):
            path.unlink()


def _beside(path: Path) -> Path:
    return path.with_name(path.name + _BESIDE)
