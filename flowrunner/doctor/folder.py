"""Checks of the data folder: location, permissions, free space."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from flowrunner.doctor.finding import Diagnosis, error, warning
from flowrunner.doctor.installation import Installation
from flowrunner.settings.reading import PREFIX
from flowrunner.site.data_folder import doubts_about, environment_around
from flowrunner.site.older_data import find_older_places, sentence_about
from flowrunner.store.engine import DATABASE_FILE
from flowrunner.store.secretbox import KEY_FILE

#: Bytes below which the next messages may not find room, and below which it is time to act.
_NO_ROOM: Final = 16 * 1024 * 1024
_LITTLE_ROOM: Final = 256 * 1024 * 1024

#: File systems over a network, on which SQLite's locks and shared memory cannot be relied upon.
_NETWORK: Final = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "fuse.sshfs", "fuse.glusterfs", "fuse.s3fs", "lustre"}
)


def find_folder_trouble(installation: Installation) -> Iterator[Diagnosis]:
    """Find a folder that is missing, vanishes, or cannot be written."""
    if installation.no_folder:
        yield error("data-folder", installation.no_folder, f"Set {PREFIX}DATA_DIR.")
    folder = installation.data_dir
    if folder is None:
        return
    obstacle = _obstacle(folder)
    if obstacle is not None:
        yield error("data-folder", obstacle, f"Set {PREFIX}DATA_DIR to a folder that this user can write to.")
    for sentence in doubts_about(folder):
        inside = environment_around(Path(os.path.realpath(folder))) is not None
        code = "data-in-environment" if inside else "data-in-temporary-folder"
        yield warning(code, sentence, f"Set {PREFIX}DATA_DIR, and flowrunner data move {folder}.")
    for held in find_older_places(folder):
        yield warning("data-elsewhere", sentence_about(held), f"flowrunner data move {held.folder}")


def find_unsafe_files(installation: Installation) -> Iterator[Diagnosis]:
    """Find files that others may read, or that belong to somebody else."""
    folder = installation.data_dir
    if folder is None or not folder.is_dir():
        return
    strangers = []
    shut = not stat.S_IMODE(folder.stat().st_mode) & 0o077
    for path in (folder, folder / DATABASE_FILE, folder / KEY_FILE, folder / "messages", folder / "files"):
        try:
            found = path.stat()
        except OSError:
            continue
        if stat.S_IMODE(found.st_mode) & 0o077 and (not shut or path == folder):
            message = f"Other users of this machine can read {path} (mode {stat.S_IMODE(found.st_mode):04o})."
            yield warning("data-open-to-others", message, f"chmod go-rwx {path}")
        if hasattr(os, "geteuid") and found.st_uid != os.geteuid():
            strangers.append(f"{path} belongs to user {found.st_uid}, and this is user {os.geteuid()}.")
    if strangers:
        remedy = f"chown -R {os.geteuid()} {folder}, or run as that user."
        yield error("data-of-another-user", strangers[0], remedy)


def find_little_room(installation: Installation) -> Iterator[Diagnosis]:
    """Find a disk that is full, or soon will be."""
    place = _nearest(installation.data_dir)
    if place is None:
        return
    free = shutil.disk_usage(place).free
    if free < _LITTLE_ROOM:
        message = f"The disk of {installation.data_dir} has {free // 1024 // 1024} MB of free space."
        remedy = "Free some space; flowrunner memory purge removes what your retention rules do not keep."
        yield (error if free < _NO_ROOM else warning)("disk-full", message, remedy)


def find_network_file_system(installation: Installation) -> Iterator[Diagnosis]:
    """Find a SQLite database whose file system is another machine's."""
    database = installation.sqlite_file
    place = _nearest(database)
    kind = file_system_of(place) if place is not None else ""
    if kind in _NETWORK:
        message = f"The database {database} is on a network file system ({kind}), which can damage it."
        remedy = f"Set {PREFIX}DATA_DIR to a folder on a local disk, or {PREFIX}DATABASE_URL to PostgreSQL."
        yield error("sqlite-on-network", message, remedy)


def file_system_of(place: Path, mounts: Path = Path("/proc/self/mounts")) -> str:
    """Return the kind of file system of a path, as the system calls it; empty where that cannot be told."""
    try:
        lines = mounts.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return ""
    real, best, kind = Path(os.path.realpath(place)), "", ""
    for line in lines:
        _, point, found, *_ = line.split(" ")
        point = point.replace("\\040", " ").replace("\\134", "\\")
        if real.is_relative_to(point) and len(point) >= len(best):
            best, kind = point, found
    return kind


def _obstacle(folder: Path) -> str | None:
    """Say why a folder cannot be used, or None."""
    place = _nearest(folder)
    if place is None or not place.is_dir():
        return f"The folder {folder} cannot be created: {place} is a file."
    if not os.access(place, os.W_OK | os.X_OK):
        return f"The data folder {place} is not writable."
    return None


def _nearest(path: Path | None) -> Path | None:
    """Return the path, or the nearest parent that is there."""
    if path is None:
        return None
    return next((place for place in (path, *path.parents) if place.exists()), None)
