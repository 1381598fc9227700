"""The data folder of a mounted runner, and its fallback if no folder is writable."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from flask import Flask

from flowrunner.errors import SettingsInvalid
from flowrunner.settings.reading import PREFIX
from flowrunner.settings.setting import Settings
from flowrunner.site.data_folder import make_data_folder
from flowrunner.store.engine import bind_key

if TYPE_CHECKING:
    from flowrunner.site.building import Wishes

logger = logging.getLogger("flowrunner")


@dataclass(frozen=True, slots=True)
class DataFolder:
    """The settings with their data folder, and a function that releases the folder."""

    settings: Settings
    close: Callable[[], None] = lambda: None
    is_temporary: bool = False


def choose_data_folder(app: Flask, settings: Settings, wishes: Wishes) -> DataFolder:
    """Return the data folder of a runner, created if it does not exist.

    By default it is the app's instance folder. In tests of a site (``TESTING``, or a host database in memory) it is a
    temporary folder, removed with the runner, and messages are kept in memory, so that tests are isolated. If no
    folder is writable and the data itself is stored elsewhere, a temporary folder is used for locks and streams.

    :raises SettingsInvalid: if the folder is not writable.
    """
    if settings.data_dir is not None:
        make_data_folder(settings)
        return DataFolder(settings)
    if not wishes.alone and is_under_test(app):
        return _temporary(_in_memory(settings, wishes))
    found = settings.with_values(data_dir=instance_data_folder(app, settings))
    try:
        make_data_folder(found)
    except SettingsInvalid as error:
        if not _is_kept_elsewhere(app, settings, wishes):
            raise
        logger.warning("%s Locks and streams are kept in a temporary folder, which other machines cannot see.", error)
        return _temporary(settings)
    return DataFolder(found)


def instance_data_folder(app: Flask, settings: Settings) -> Path:
    """Return the instance folder; for further runners of the app, a folder in it."""
    folder = Path(app.instance_path)
    return folder if settings.prefix == PREFIX else folder / bind_key(settings)


def is_under_test(app: Flask) -> bool:
    """Return whether an app is used in a test: ``TESTING`` is set, or its database is in memory."""
    if app.testing:
        return True
    urls = [app.config.get("SQLALCHEMY_DATABASE_URI")]
    return any(str(url) in ("sqlite://", "sqlite:///:memory:") for url in urls if url is not None)


def _in_memory(settings: Settings, wishes: Wishes) -> Settings:
    elsewhere = wishes.db is not None or settings.database_url or wishes.memory is not None
    if not elsewhere and settings.sources.get("MEMORY") == "default":
        return settings.with_values(memory="in-memory")
    return settings


def _is_kept_elsewhere(app: Flask, settings: Settings, wishes: Wishes) -> bool:
    """Return whether all persistent data is outside the data folder: on a server, or deliberately nowhere."""
    if settings.database_url:
        return not str(settings.database_url).startswith("sqlite")
    return wishes.db is not None or settings.memory == "in-memory"


def _temporary(settings: Settings) -> DataFolder:
    folder = Path(tempfile.mkdtemp(prefix="flowrunner-"))
    remove = partial(shutil.rmtree, folder, ignore_errors=True)
    return DataFolder(settings.with_values(data_dir=folder), remove, is_temporary=True)
