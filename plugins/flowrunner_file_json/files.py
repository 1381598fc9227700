"""Write files so that the previous contents survive a failure."""

from __future__ import annotations

import os
from pathlib import Path


def for_owner_alone(path: str, flags: int) -> int:
    """Open a file as :func:`open` asks; one that is made can be read by its owner alone, whatever the umask."""
    return os.open(path, flags, 0o600)


def append_bytes(path: Path, content: bytes, *, sync: bool) -> None:
    """Add bytes to the end of a file, all or none; a file that is not there is made.

    :param sync: return only when they are on disk.
    :raises OSError: if they cannot be written; the file is then as it was.
    """
    made = not path.exists()
    with open(path, "ab", buffering=0, opener=for_owner_alone) as file:  # noqa: PTH123 - Path.open takes no opener
        size = file.seek(0, os.SEEK_END)
        try:
            written = 0
            while written < len(content):
                written += file.write(content[written:]) or 0
            if sync:
                os.fsync(file.fileno())
        except OSError:
            file.truncate(size)
            if made:
                path.unlink()
            raise
    if made and sync:
        sync_folder(path.parent)


def write_new(path: Path, content: bytes) -> None:
    """Write a file, or write it again, and wait until it is on disk.

    :raises OSError: if that fails; nothing is left of the file.
    """
    try:
        with open(path, "wb", opener=for_owner_alone) as file:  # noqa: PTH123 - Path.open takes no opener
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        path.unlink(missing_ok=True)
        raise


def replace_file(path: Path, content: bytes) -> None:
    """Give a file another content in one step: readers find the old one or the new one."""
    beside = path.with_name(path.name + ".new")
    write_new(beside, content)
    beside.replace(path)
    sync_folder(path.parent)


def set_aside(path: Path) -> Path:
    """Rename what is damaged, so that it is kept and no longer in the way; return its new path."""
    aside, number = path.with_name(f"{path.name}.damaged"), 1
    while aside.is_symlink() or aside.exists():
        number += 1
        aside = path.with_name(f"{path.name}.damaged-{number}")
    path.rename(aside)
    return aside


def sync_folder(folder: Path) -> None:
    """Wait until names that were made or changed in a folder are on disk."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
