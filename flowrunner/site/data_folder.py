"""The data folder of a stand-alone server: one per user, however flowrunner was installed."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Final

from flowrunner.errors import SettingsInvalid
from flowrunner.settings.reading import PREFIX
from flowrunner.settings.setting import Settings

#: The data folder of a service whose user has no home folder.
SERVICE_FOLDER: Final = Path("/var/lib/flowrunner")

#: The file that marks the root of a Python environment.
_ENVIRONMENT_MARKS: Final = ("pyvenv.cfg", "conda-meta")
_TEMPORARY: Final = ("/tmp", "/var/tmp", "/dev/shm", "/run")  # noqa: S108 - these are looked for, not used


def usual_data_folder() -> Path:
    """Return the default data folder of the stand-alone server.

    It is the user's folder for data of programs (``~/.local/share/flowrunner`` on Linux), or for a user without a
    home folder ``/var/lib/flowrunner``, if that is writable.

    :raises SettingsInvalid: if neither can be used, naming the setting.
    """
    folder = _folder_of_programs() / "flowrunner"
    if folder.is_absolute() and _can_be_made(folder):
        return folder
    if SERVICE_FOLDER.is_dir() and os.access(SERVICE_FOLDER, os.W_OK | os.X_OK):
        return SERVICE_FOLDER
    reason = f"{folder} cannot be created" if folder.is_absolute() else "the user running it has no home folder"
    raise SettingsInvalid(
        f"There is no data folder: {reason}; set {PREFIX}DATA_DIR to a folder that this user can write"
        f" to, such as {SERVICE_FOLDER}."
    )


def make_data_folder(settings: Settings) -> None:
    """Create the data folder, accessible to its owner only.

    :raises SettingsInvalid: if it cannot be created or is not writable.
    """
    folder: Path = settings.data_dir
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or str(error)
        raise SettingsInvalid(f"{settings.prefix}DATA_DIR: the folder {folder} cannot be created: {reason}.") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise SettingsInvalid(f"{settings.prefix}DATA_DIR: the folder {folder} is not writable.")


def doubts_about(folder: Path) -> list[str]:
    """Return a warning for each reason why data in a folder may be lost, such as a temporary folder."""
    place = Path(os.path.realpath(folder))
    environment = environment_around(place)
    found = []
    if environment is not None:
        found.append(
            f"The data folder {folder} is inside the Python environment {environment} and is lost when that is"
            f" recreated. Set {PREFIX}DATA_DIR to a folder outside of it."
        )
    elif temporary := _temporary_around(place):
        found.append(
            f"The data folder {folder} is under {temporary}, where the system removes old files. Set"
            f" {PREFIX}DATA_DIR to a permanent folder."
        )
    return found


def environment_around(place: Path) -> Path | None:
    """Return the Python environment that contains a folder, or None."""
    for folder in (place, *place.parents):
        if any((folder / mark).exists() for mark in _ENVIRONMENT_MARKS):
            return folder
        if folder.name in ("site-packages", "dist-packages"):
            return folder
    prefix = Path(os.path.realpath(sys.prefix))
    # The prefix of the system's Python is /usr, which contains anything; other prefixes belong to an environment.
    own = prefix not in (Path("/usr"), Path("/usr/local"), Path("/"))
    return prefix if own and place.is_relative_to(prefix) else None


def _temporary_around(place: Path) -> str | None:
    # If no temporary folder is writable, as in a container, Python uses the working folder as one.
    found = tempfile.gettempdir()
    for name in (*_TEMPORARY, *([found] if os.path.realpath(found) != os.path.realpath(Path.cwd()) else [])):
        if place.is_relative_to(os.path.realpath(name)):
            return name
    return None


def _folder_of_programs() -> Path:
    """Return the system's folder for data of a user's programs; a relative path if the user has no home folder.

    These are the folders that platformdirs names: one more package to install for three lines.
    """
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 - Path.home raises where there is none
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    named = Path(os.environ.get("XDG_DATA_HOME", ""))
    if named.is_absolute():
        return named
    return home / "Library" / "Application Support" if sys.platform == "darwin" else home / ".local" / "share"


def _can_be_made(folder: Path) -> bool:
    """Return whether a folder is writable, or can be created."""
    for place in (folder, *folder.parents):
        if place.exists():
            return place.is_dir() and os.access(place, os.W_OK | os.X_OK)
    return False
