"""The size of a store of conversations, determined in bounded time."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from flowrunner.memory import SessionSummary

#: Sessions that are counted, and files that are looked at, at most.
MOST_SESSIONS: Final = 1000
MOST_FILES: Final = 2000


class _Sessions(Protocol):
    def sessions(self, **query: Any) -> list[SessionSummary]: ...


@dataclass(frozen=True, slots=True)
class MemorySize:
    """So many sessions and messages; ``more`` says that there are more than these."""

    sessions: int
    messages: int
    more: bool


@dataclass(frozen=True, slots=True)
class DiskSize:
    """So many bytes; ``more`` says that there are more than these."""

    bytes: int
    more: bool


def size_of(memory: _Sessions, most: int = MOST_SESSIONS) -> MemorySize:
    """Count the sessions and messages that a handle reaches: all of them, or those of the latest sessions."""
    found = memory.sessions(limit=most + 1)
    counted = found[:most]
    return MemorySize(len(counted), sum(summary.count for summary in counted), len(found) > most)


def disk_size(place: str, most: int = MOST_FILES) -> DiskSize | None:
    """Return what the place of a backend takes on this machine's disk; None for one that is not a file or folder here.

    :param most: files of a folder that are counted.
    """
    path = Path(place)
    if not place or not path.is_absolute() or not path.exists():
        return None
    if path.is_file():
        # What a database writes ahead lies beside it.
        beside = (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm"))
        return DiskSize(sum(_bytes_of(one) for one in beside), False)
    total, seen, folders = 0, 0, [place]
    while folders:
        try:
            entries = os.scandir(folders.pop())
        except OSError:
            continue
        with entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                    continue
                if seen == most:
                    return DiskSize(total, True)
                seen += 1
                total += _bytes_of(Path(entry.path))
    return DiskSize(total, False)


def _bytes_of(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0
