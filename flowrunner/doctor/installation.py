"""The installation under test: what would run with the current settings, inspected without changing it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flowrunner.errors import FlowRunnerError
from flowrunner.flows.folder import FolderLibrary
from flowrunner.flows.parsing import Limits
from flowrunner.plugins import PluginManager
from flowrunner.settings.setting import Settings
from flowrunner.site.building import load_plugins
from flowrunner.site.data_folder import usual_data_folder
from flowrunner.store.engine import database_url


@dataclass(frozen=True, slots=True)
class Installation:
    """Plugins and settings; where the settings cannot be read, ``refusal`` says why and both are None.

    ``data_dir`` is None where there is no folder for data, and ``no_folder`` says why.
    """

    plugins: PluginManager | None = None
    settings: Settings | None = None
    refusal: str = ""
    data_dir: Path | None = None
    no_folder: str = ""
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)

    @classmethod
    def find(cls, overrides: Mapping[str, Any] | None = None) -> Installation:
        """Load plugins and settings as a server in this shell would.

        :param overrides: settings of the command line, by name without prefix.
        """
        try:
            plugins, settings = load_plugins({}, overrides=overrides, keep_going=True)
        except FlowRunnerError as refused:
            return cls(refusal=refused.message)
        if settings.data_dir is not None:
            return cls(plugins, settings, data_dir=settings.data_dir)
        try:
            folder = usual_data_folder()
        except FlowRunnerError as refused:
            return cls(plugins, settings, no_folder=refused.message)
        return cls(plugins, settings.with_values(data_dir=folder), data_dir=folder)

    @property
    def sqlite_file(self) -> Path | None:
        """The file of the app's own database, or None where that is not SQLite file or cannot be told."""
        if self.settings is None or self.data_dir is None:
            return None
        try:
            url = database_url(self.settings)
        except FlowRunnerError:
            return None
        return Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None

    def workers(self) -> int:
        """Return how many processes a server would have."""
        assert self.settings is not None
        given: int | None = self.settings.workers
        asked = self.environ.get("WEB_CONCURRENCY", "")
        return given or (int(asked) if asked.isdecimal() else 1)

    def folders(self) -> FolderLibrary:
        """Return the flows of the folders that are there."""
        assert self.settings is not None
        limits = Limits(max_vertices=self.settings.max_vertices)
        there = [folder for folder in self.settings.flows_dir if Path(folder).expanduser().is_dir()]
        return FolderLibrary(there, limits=limits)
