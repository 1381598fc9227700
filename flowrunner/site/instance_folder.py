"""The data folder of a mounted runner, and its fallback where nothing can be written."""

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
    """The settings with their folder, and what gives the folder up again."""

    settings: Settings
    close: Callable[[], None] = lambda: None
    is_temporary: bool = False


def choose_data_folder(app: Flask, settings: Settings, wishes: Wishes) -> DataFolder:
    """Return the data folder of a runner, made if it was not there.

    Without a setting it is the app's instance folder. In the tests of a site (``TESTING``, or a host
    database in memory) it is a temporary one instead, which goes with the runner, and messages are
    kept in memory: what a test leaves behind no other app finds. Where nothing can be written, a
    temporary folder serves for locks and streams, if the data itself lies elsewhere.

    :raises SettingsInvalid: if nothing can be written there.
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
    """Return the instance folder; a folder in it for a runner that is not the first, as its data is its own."""
    folder = Path(app.instance_path)
    return folder if settings.prefix == PREFIX else folder / bind_key(settings)


def is_under_test(app: Flask) -> bool:
    """Return whether an app is made for a test: it says so, or keeps its own data in memory."""
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
    """Return whether everything that must last lies outside the data folder: on a server, or nowhere by choice."""
    if settings.database_url:
        return not str(settings.database_url).startswith("sqlite")
    return wishes.db is not None or settings.memory == "in-memory"


def _temporary(settings: Settings) -> DataFolder:
    folder = Path(tempfile.mkdtemp(prefix="flowrunner-"))
    remove = partial(shutil.rmtree, folder, ignore_errors=True)
    return DataFolder(settings.with_values(data_dir=folder), remove, is_temporary=True)
