"""Putting a runner together: plugins, settings, stores, memory, flows."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from flask import Flask

from flowrunner.engine.events import RECORDED_EVENTS, Observer
from flowrunner.errors import SettingsInvalid
from flowrunner.flows.library import FolderLibrary, Library
from flowrunner.flows.parsing import Limits
from flowrunner.memory import MemoryBackend
from flowrunner.plugins import PluginManager
from flowrunner.runner import Runner
from flowrunner.settings import API_PARTS, PREFIX, SETTINGS, Settings, read_settings, refuse_unknown, warn_about_unknown
from flowrunner.site.data_folder import make_data_folder, usual_data_folder
from flowrunner.site.identifying import Offer, choose_identify
from flowrunner.store.credentials import is_secret_name
from flowrunner.store.engine import attach_database, bind_key, close_database, close_engine
from flowrunner.store.files import FileStore
from flowrunner.store.flows import FlowStore
from flowrunner.store.keys import KeyStore
from flowrunner.store.runlog import RunLog
from flowrunner.store.secretbox import open_secret_box
from flowrunner.store.stores import Stores
from flowrunner.store.tables import SCHEMA
from flowrunner.store.variables import VariableStore
from flowrunner.telemetry.metrics import COUNTED_EVENTS, Metrics
from flowrunner.telemetry.tracing import TRACED_EVENTS, Tracing


def load_plugins(
    config: Mapping[str, Any], *, plugins: Iterable[Any] = (), overrides: Mapping[str, Any] | None = None,
    prefix: str = PREFIX, keep_going: bool = False,
) -> tuple[PluginManager, Settings]:  # fmt: skip
    """Load plugins and read all settings, theirs included.

    :param plugins: plugin objects besides the installed ones and those of the plugins folder.
    :param keep_going: record plugins that fail instead of raising.
    :raises PluginFailed: naming the plugin.
    :raises SettingsInvalid: naming the setting.
    """
    first = read_settings(SETTINGS, config=config, overrides=overrides, prefix=prefix)
    manager = PluginManager()
    manager.load_entry_points(first.plugins_blocked, keep_going=keep_going)
    if first.plugins_dir is not None:
        manager.load_folder(first.plugins_dir, first.plugins_blocked, keep_going=keep_going)
    for plugin in plugins:
        manager.add(plugin)
    manager.collect_settings()
    manager.collect_components()
    table = manager.registry.settings
    refuse_unknown(table, overrides or {})
    settings = read_settings(table, config=config, overrides=overrides, prefix=prefix)
    warn_about_unknown(table, config=config, prefix=prefix)
    return manager, settings


def build_runner(
    app: Flask, *, plugins: Iterable[Any] = (), overrides: Mapping[str, Any] | None = None, prefix: str = PREFIX,
    db: Any = None, identify: Callable[[Any], Any] | None = None, offer: Offer | None = None,
    memory: MemoryBackend | None = None, alone: bool = True,
) -> Runner:  # fmt: skip
    """Return the runner of an app.

    :param db: the host's ``SQLAlchemy`` object, to keep the data on its database.
    :param identify: says who sends a request; None where that is left to hooks and API keys.
    :param offer: says which flows the site offers to whom; None for all flows of the folders.
    :param memory: a memory backend that is open already, instead of the one that the settings name.
    :param alone: the app is the runner's own; else it is a site, which is left as it is.
    :raises FlowRunnerError: in one sentence, what must be changed before it can start.
    """
    manager, settings = load_plugins(app.config, plugins=plugins, overrides=overrides, prefix=prefix)
    if settings.data_dir is None:
        settings = settings.with_values(data_dir=_usual_data_folder(app, settings, alone))
    if settings.api is None:
        settings = settings.with_values(api=API_PARTS if alone else ())
    make_data_folder(settings)
    _refuse_missing_folders(settings)
    identify = choose_identify(identify, manager, settings, offer)
    engine = _open_database(app, settings, db, alone)
    folders = FolderLibrary(_flow_folders(settings), limits=Limits(max_vertices=settings.max_vertices))
    box = open_secret_box(settings.secret_key, settings.data_dir)
    flows = FlowStore(
        engine,
        settings.data_dir,
        taken=lambda name: folders.find(name) is not None,
        max_vertices=settings.max_vertices,
        box=box,
    )
    variables = VariableStore(engine, settings.data_dir, box)
    log = RunLog(engine, settings, _known_secrets(settings, variables)) if settings.run_log else None
    metrics = _open_metrics(settings, alone) if settings.metrics else None
    stores = Stores(
        keys=KeyStore(engine, settings.data_dir),
        flows=flows,
        variables=variables,
        files=FileStore(
            engine, settings.data_dir / "files", max_size=settings.max_file_size, max_files=settings.max_files
        ),
        run_log=log,
    )
    manager.hand_out_settings(settings)
    try:
        vectors = manager.open_vectors(app, settings)
        opened = manager.open_memory(app, settings) if memory is None else manager.use_memory(memory, "given")
    except BaseException:
        close_engine(engine)
        close_database(app, settings)
        raise

    def closing() -> None:
        stores.close()
        close_engine(engine)
        close_database(app, settings)

    runner = Runner(
        settings=settings, plugins=manager, memory=opened, library=Library(folders, flows), stores=stores,
        vectors=vectors, engine=engine, metrics=metrics, observers=_observers(settings, log, metrics), closing=closing,
    )  # fmt: skip
    runner.identify = identify
    return runner


def _open_metrics(settings: Settings, alone: bool) -> Metrics:
    """Return what counts; under gunicorn our own app keeps the figures where all its processes find them."""
    several = alone and "gunicorn" in os.environ.get("SERVER_SOFTWARE", "")
    return Metrics(settings.data_dir / "metrics" if several else None)


def _observers(settings: Settings, log: RunLog | None, metrics: Metrics | None) -> list[Observer]:
    """Return who reads the events of all runs, besides plugins."""
    found = [] if log is None else [Observer(log.observe, RECORDED_EVENTS)]
    if metrics is not None:
        found.append(Observer(metrics.observe, COUNTED_EVENTS))
    if settings.tracing:
        found.append(Observer(Tracing().observe, TRACED_EVENTS))
    return found


def _usual_data_folder(app: Flask, settings: Settings, alone: bool) -> Path:
    """Return the user's folder for an app of our own, a site's instance folder else.

    A runner that is not the first has a folder in it, as its data is its own.
    """
    folder = usual_data_folder() if alone else Path(app.instance_path)
    return folder if settings.prefix == PREFIX else folder / bind_key(settings)


def _known_secrets(settings: Settings, variables: VariableStore) -> Callable[[], Iterable[str]]:
    """Return what tells the run log the values that it must not keep: credentials of owners and of the environment."""
    shared = tuple(value for name in settings.variables if is_secret_name(name) and (value := os.environ.get(name)))
    return lambda: (*shared, *variables.known_secrets())


def _refuse_missing_folders(settings: Settings) -> None:
    for folder in _flow_folders(settings):
        if not folder.is_dir():
            raise SettingsInvalid(f"{settings.prefix}FLOWS_DIR: the folder {folder} is not there.")


def _open_database(app: Flask, settings: Settings, db: Any, alone: bool) -> Any:
    """Return the engine of the app's own data, its tables made.

    :raises SettingsInvalid: if the database cannot be reached or written to, or is of a kind without a driver here.
    :raises SchemaOutdated: if its tables are of another release.
    """
    from sqlalchemy.exc import ArgumentError, DBAPIError

    try:
        engine = attach_database(app, settings, db, alone=alone)
        SCHEMA.ensure(engine)
    except (DBAPIError, ArgumentError, ImportError) as error:
        # A driver's words may go on about the statement or a web page; the first line says what is wrong.
        reason = (str(getattr(error, "orig", error)).splitlines() or [type(error).__name__])[0]
        raise SettingsInvalid(f"The database that {settings.prefix}DATABASE_URL names cannot be used: {reason}.") from (
            error
        )
    return engine


def _flow_folders(settings: Settings) -> list[Path]:
    return [Path(folder).expanduser().absolute() for folder in settings.flows_dir]
