"""The plugins that installed distributions offer by entry points."""

from __future__ import annotations

import importlib.metadata
import os
import sys
from functools import lru_cache
from typing import Final

ENTRY_POINT_GROUP: Final = "flowrunner"

#: An entry point, with name and version of its distribution.
Entry = tuple[importlib.metadata.EntryPoint, str, str]


def installed_plugins() -> tuple[Entry, ...]:
    """Return the plugins that installed distributions offer, by name, each once.

    A process with many apps, such as a run of tests, looks through the distributions once.
    """
    places = ((folder, os.stat(folder).st_mtime_ns if os.path.isdir(folder) else 0) for folder in sys.path)  # noqa: PTH112, PTH116
    return _installed_in(tuple(places))


@lru_cache(maxsize=1)
def _installed_in(places: tuple[tuple[str, int], ...]) -> tuple[Entry, ...]:
    """Return the plugins in folders, which are named with the moments at which they changed."""
    found: list[Entry] = []
    for dist in importlib.metadata.distributions():
        # Parsing what each of a hundred distributions offers would be half of what mounting takes in a site.
        if f"[{ENTRY_POINT_GROUP}]" not in (dist.read_text("entry_points.txt") or ""):
            continue
        metadata = dist.metadata
        name, version = metadata["Name"] or "", metadata["Version"] or ""
        for entry in dist.entry_points:
            if entry.group == ENTRY_POINT_GROUP:
                found.append((entry, name, version))
    unique: dict[tuple[str, str], Entry] = {}
    for one in sorted(found, key=lambda item: (item[0].name, item[1])):
        unique.setdefault((one[0].name, one[0].value), one)
    return tuple(unique.values())
