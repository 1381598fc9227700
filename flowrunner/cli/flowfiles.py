"""Flow files in folders, and names of files that are near a wrong one."""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from flowrunner.flows.folder import SUFFIXES
from flowrunner.flows.reading import FORM_KEYS

#: Folders in which nobody keeps flows, and which may hold ten thousand files of JSON.
_PASSED_BY: Final = ("node_modules", "__pycache__", "site-packages")
_MOST_BYTES: Final = 64 * 1024 * 1024


def files_of(places: Iterable[Path]) -> Iterator[tuple[Path, bool]]:
    """Yield files, and those in folders and their folders that could be flow files; say which were found in a folder.

    Hidden folders and those of packages are passed by, and links to folders are not followed.
    """
    for place in places:
        if not place.is_dir():
            yield place, False
            continue
        for folder, below, names in os.walk(place):
            below[:] = sorted(name for name in below if not name.startswith(".") and name not in _PASSED_BY)
            for name in sorted(names):
                if name.endswith(SUFFIXES) and not name.startswith("."):
                    yield Path(folder, name), True


def is_something_else(path: Path) -> bool:
    """Return whether a file is JSON of another kind: whole, and without any key that a flow has or nearly has."""
    try:
        if path.suffix != ".json" or path.stat().st_size > _MOST_BYTES:
            return False
        value: Any = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    several = value if isinstance(value, list) else [value]
    keys = {key for one in several if isinstance(one, dict) for key in list(one)[:100]}
    # A recorded conversation names its flow.
    return "turns" in keys or not any(difflib.get_close_matches(key[:60], FORM_KEYS, n=1) for key in keys)


def files_near(path: Path) -> list[str]:
    """Return the flow files beside a path that is not a file, with the path as it was given."""
    try:
        beside = path.parent.iterdir() if path.parent.is_dir() else iter(())
        names = [one.name for one in beside if one.name.endswith(SUFFIXES) or one.is_dir()]
        return [str(path.with_name(name)) for name in difflib.get_close_matches(path.name, names, cutoff=0.7)]
    except (OSError, ValueError):
        return []
