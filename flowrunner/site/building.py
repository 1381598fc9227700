"""Build a runner: plugins, settings, stores, memory, flows."""

from __future__ import annotations

import functools
import importlib.util
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from flowrunner.addresses import LOCAL_NAMES
from flowrunner.engine.events import RECORDED_EVENTS, Observer
from flowrunner.errors import SettingsInvalid
from flowrunner.flows.library import FolderLibrary, Library
from flowrunner.flows.parsing import Limits
from flowrunner.identity import LOCAL_IDENTITY
from flowrunner.memory import MemoryBackend
from flowrunner.plugins import PluginManager
from flowrunner.plugins.selection import chosen_backend, chosen_engine, chosen_schemas, open_engine, open_vectors
from flowrunner.runner import Runner
from flowrunner.runs.limits import open_rates, rates_of
from flowrunner.runs.opened import Opened
from flowrunner.settings.reading import PREFIX, read_settings, refuse_unknown, warn_about_unknown
from flowrunner.settings.setting import Setting, Settings
from flowrunner.settings.table import SETTINGS
from flowrunner.settings.values import API_PARTS
from flowrunner.site.callers import Offer, choose_identify
from flowrunner.site.data_folder import usual_data_folder
from flowrunner.site.instance_folder import choose_data_folder, instance_data_folder
from flowrunner.store.bounds import bound_of
from flowrunner.store.credentials import is_secret_name
from flowrunner.store.engine import (
    DATABASE_FILE,
    attach_database,
    close_database,
    close_engine,
    refuse_shared_file,
    refuse_usual_file,
)
from flowrunner.store.files import FileStore, files_inside
from flowrunner.store.flows import FlowStore
from flowrunner.store.foreign_file import refuse_foreign_file
from flowrunner.store.key_fingerprint import confirm_key
from flowrunner.store.keys import KeyStore
from flowrunner.store.outage import outage_of, told_by
from flowrunner.store.postgres_rights import refuse_missing_rights
from flowrunner.store.projects import ProjectStore
from flowrunner.store.runlog import RunLog
from flowrunner.store.secretbox import SecretBox, open_secret_box
from flowrunner.store.stores import Stores
from flowrunner.store.tables import SCHEMA
from flowrunner.store.titles import TitleStore
from flowrunner.store.variables import VariableStore
from flowrunner.telemetry.metrics import COUNTED_EVENTS, Metrics
from flowrunner.telemetry.tracing import TRACED_EVENTS, Tracing

if TYPE_CHECKING:
    from sqlalchemy import Engine


def load_plugins(
    config: Mapping[str, Any],
    *,
    plugins: Iterable[Any] = (),
    overrides: Mapping[str, Any] | None = None,
    defaults: Mapping[str, Any] | None = None,
    prefix: str = PREFIX,
    keep_going: bool = False,
) -> tuple[PluginManager, Settings]:
    """Load plugins and read all settings, including theirs.

    :param plugins: plugin objects in addition to installed plugins and those in the plugins folder.
    :param overrides: settings that take precedence over the configuration, by name without prefix.
    :param defaults: settings that the configuration overrides, by name without prefix.
    :param keep_going: record failing plugins instead of raising an exception.
    :raises PluginFailed: if a plugin fails, naming it.
    :raises SettingsInvalid: if a setting is invalid, naming it.
    """

    def read(table: Iterable[Setting]) -> Settings:
        return read_settings(table, config=config, overrides=overrides, defaults=defaults, prefix=prefix)

    first = read(SETTINGS)
    manager = PluginManager(trace=first.trace_plugins)
    manager.load_entry_points(first.plugins_blocked, keep_going=keep_going)
    if first.plugins_dir is not None:
        manager.load_folder(first.plugins_dir, first.plugins_blocked, keep_going=keep_going)
    for plugin in plugins:
        manager.add(plugin)
    manager.collect_settings()
    manager.collect_components()
    table = manager.registry.settings
    refuse_unknown(table, {**(overrides or {}), **(defaults or {})})
    settings = read(table)
    warn_about_unknown(table, config=config, prefix=prefix)
    return manager, settings


@dataclass(frozen=True, slots=True)
class Wishes:
    """The arguments of the extension that are not settings.

    ``db`` is the host's ``SQLAlchemy`` object, whose database is shared. ``identify`` returns the identity of a
    request; None leaves this to hooks and API keys. ``offer`` decides which flows the site offers to whom; None means
    all flows in the folders. ``memory`` is an open backend to use instead of the one in the settings. ``alone`` marks
    the stand-alone app.
    """

    db: Any = None
    identify: Callable[[Any], Any] | None = None
    offer: Offer | None = None
    memory: MemoryBackend | None = None
    alone: bool = True


def build_runner(app: Flask, manager: PluginManager, settings: Settings, wishes: Wishes) -> Runner:
    """Return the runner of an app, which opens its databases and folders on first use.

    :raises FlowRunnerError: for a problem that can be detected without opening anything.
    """
    identify = choose_identify(wishes.identify, manager, settings, wishes.offer)
    if wishes.memory is None:
        chosen_backend(manager.registry, settings)
    open_vectors(manager.registry, app, settings)
    chosen_engine(manager.registry, settings)
    manager.refuse_second_backend()
    if settings.auth == "none" and not settings.trusted_hosts:
        settings = settings.with_values(trusted_hosts=LOCAL_NAMES)
    _refuse_missing_folders(settings)
    if settings.trusted_proxies and not wishes.alone:
        raise SettingsInvalid(
            f"{settings.prefix}TRUSTED_PROXIES is for a stand-alone server: in a site, wrap the app in werkzeug's"
            " ProxyFix."
        )
    if settings.api is None:
        settings = settings.with_values(api=API_PARTS if wishes.alone else ())
    usual = settings.with_values(data_dir=settings.data_dir or _usual_data_folder(app, settings, wishes))
    if wishes.alone:
        settings = usual
    _refuse_missing_extras(settings)
    _prepare_database(app, usual, settings, wishes)
    manager.hand_out_settings(usual)
    # Flows that a master has read in a test are shared by its workers.
    library_of = functools.cache(FolderLibrary)
    opening = functools.partial(_open, app, manager, settings, wishes, library_of)
    runner = Runner(settings=settings, plugins=manager, opening=opening)
    runner.identify = identify
    if wishes.alone and settings.auth == "none":
        # A stand-alone server without API keys listens on this machine only: its one user is the operator.
        runner.operator = LOCAL_IDENTITY.id
    return runner


def _open(
    app: Flask,
    manager: PluginManager,
    settings: Settings,
    wishes: Wishes,
    library_of: Callable[..., FolderLibrary],
) -> Opened:
    """Open the resources of a runner.

    :param library_of: returns the flows in folders, which are read on first use.
    :raises FlowRunnerError: if something cannot be opened, naming the remedy.
    """
    place = choose_data_folder(app, settings, wishes)
    if place.is_temporary:
        manager.hand_out_settings(place.settings)
    settings = place.settings
    folders = library_of(tuple(_flow_folders(settings)), limits=Limits(max_vertices=settings.max_vertices))
    with ExitStack() as undo:
        undo.callback(place.close)
        # Registered first: a database that is refused must not stay open either.
        undo.callback(close_database, app, settings)
        engine = _open_database(app, manager, settings, wishes)
        undo.callback(close_engine, engine)
        refuse_shared_file(app, engine)
        box = open_secret_box(settings.secret_key, settings.data_dir)
        confirm_key(engine, box, f"{settings.prefix}SECRET_KEY")
        stores = _open_stores(engine, settings, folders, box)
        undo.callback(stores.close)
        metrics = _open_metrics(settings, wishes.alone) if settings.metrics else None
        vectors = open_vectors(manager.registry, app, settings)
        run_engine = open_engine(manager.registry, app, settings)
        if run_engine is not None:
            undo.callback(run_engine.close)
        rates = open_rates(settings, engine)
        given = wishes.memory
        memory = manager.open_memory(app, settings) if given is None else manager.use_memory(given, "given")
        return Opened(
            settings=settings,
            memory=memory,
            library=Library(folders, stores.flows),
            stores=stores,
            vectors=vectors,
            engine=engine,
            run_engine=run_engine,
            box=box,
            rates=rates,
            metrics=metrics,
            observers=_observers(settings, stores.run_log, metrics),
            close=undo.pop_all().close,
        )


def _open_stores(engine: Engine, settings: Settings, folders: FolderLibrary, box: SecretBox) -> Stores:
    flows = FlowStore(
        engine,
        settings.data_dir,
        taken=lambda name: folders.find(name) is not None,
        max_vertices=settings.max_vertices,
        box=box,
        each=bound_of(settings, "MAX_FLOWS"),
    )
    variables = VariableStore(engine, settings.data_dir, box, each=bound_of(settings, "MAX_VARIABLES"))
    return Stores(
        keys=KeyStore(engine, settings.data_dir, each=bound_of(settings, "MAX_KEYS")),
        flows=flows,
        projects=ProjectStore(engine),
        titles=TitleStore(engine),
        variables=variables,
        files=FileStore(
            engine,
            settings.files_dir or settings.data_dir / "files",
            inside=files_inside(engine, settings.files_in_database),
            max_size=settings.max_file_size,
            each=bound_of(settings, "MAX_FILES"),
            visitors=bound_of(settings, "MAX_VISITOR_FILES", "All visitors together"),
        ),
        run_log=RunLog(engine, settings, _known_secrets(settings, variables)) if settings.run_log else None,
    )


def _open_metrics(settings: Settings, alone: bool) -> Metrics:
    """Return the metrics; under gunicorn, the stand-alone app shares them among its processes."""
    several = alone and "gunicorn" in os.environ.get("SERVER_SOFTWARE", "")
    return Metrics(settings.data_dir / "metrics" if several else None)


def _observers(settings: Settings, log: RunLog | None, metrics: Metrics | None) -> list[Observer]:
    """Return the observers of all runs, except plugins."""
    found = [] if log is None else [Observer(log.observe, RECORDED_EVENTS)]
    if metrics is not None:
        found.append(Observer(metrics.observe, COUNTED_EVENTS))
    if settings.tracing:
        found.append(Observer(Tracing().observe, TRACED_EVENTS))
    return found


def _known_secrets(settings: Settings, variables: VariableStore) -> Callable[[], Iterable[str]]:
    """Return a callable for the secrets that the run log masks: credentials of owners and of the environment."""
    shared = tuple(value for name in settings.variables if is_secret_name(name) and (value := os.environ.get(name)))
    return lambda: (*shared, *variables.known_secrets())


def _usual_data_folder(app: Flask, settings: Settings, wishes: Wishes) -> Path:
    return usual_data_folder() if wishes.alone else instance_data_folder(app, settings)


def missing_extras(settings: Settings) -> Iterator[tuple[str, str, str]]:
    """Yield the settings whose feature needs a package that is not installed, each with the package and its extra."""
    for on, package, word, extra in (
        (settings.metrics, "prometheus_client", "METRICS", "metrics"),
        (settings.tracing, "opentelemetry", "TRACING", "otel"),
        *((said, "limits", name, "limits") for name, said in rates_of(settings).items()),
    ):
        if on and importlib.util.find_spec(package) is None:
            yield word, package, extra


def _refuse_missing_extras(settings: Settings) -> None:
    """Refuse a setting whose feature needs a package that is not installed."""
    for word, package, extra in missing_extras(settings):
        raise SettingsInvalid(f"{settings.prefix}{word} needs {package}: pip install flask-flowrunner[{extra}].")


def _refuse_missing_folders(settings: Settings) -> None:
    for folder in _flow_folders(settings):
        if not folder.is_dir():
            raise SettingsInvalid(f"{settings.prefix}FLOWS_DIR: the folder {folder} does not exist.")


def _prepare_database(app: Flask, usual: Settings, settings: Settings, wishes: Wishes) -> None:
    """Attach the database if it is known already, and check its URL, without connecting.

    :raises SettingsInvalid: if it can never be used.
    """
    decided = wishes.alone or wishes.db is not None or settings.database_url or settings.data_dir is not None
    if decided:
        _attach(app, usual, wishes)
    else:
        refuse_usual_file(app, usual)


def _attach(app: Flask, settings: Settings, wishes: Wishes) -> Engine:
    from sqlalchemy.exc import ArgumentError

    try:
        return attach_database(app, settings, wishes.db, alone=wishes.alone)
    except (ArgumentError, ImportError) as error:
        raise SettingsInvalid(f"{_name_of_database(settings, wishes)} cannot be used: {error}.") from error


def _open_database(app: Flask, manager: PluginManager, settings: Settings, wishes: Wishes) -> Engine:
    """Return the engine of the app's own data, after creating its tables.

    :raises SettingsInvalid: if the database cannot be reached or written, or its driver is not installed.
    :raises SchemaOutdated: if its tables belong to another release.
    """
    engine = _attach(app, settings, wishes)
    refuse_foreign_file(engine, settings)
    try:
        SCHEMA.ensure(engine)
        _refuse_missing_rights(engine, manager, settings, wishes)
    except SQLAlchemyError as error:
        # The first line of the driver's message is the reason; the rest may be the statement or a link.
        reason, outage = told_by(error).split(" (")[0], outage_of(error)
        remedy = f" {outage.remedy}" if outage is not None else ""
        raise SettingsInvalid(f"{_name_of_database(settings, wishes)} cannot be used: {reason}.{remedy}") from error
    return engine


def _refuse_missing_rights(engine: Engine, manager: PluginManager, settings: Settings, wishes: Wishes) -> None:
    """Refuse a PostgreSQL role that could not write everything, before anything is written.

    :raises SettingsInvalid: naming the role and what it lacks.
    """
    if engine.dialect.name == "postgresql":
        others = chosen_schemas(manager.registry, settings) if wishes.memory is None else []
        refuse_missing_rights(engine, [name for schema in (SCHEMA, *others) for name in schema.metadata.tables])


def _name_of_database(settings: Settings, wishes: Wishes) -> str:
    """Return the setting or argument that chose the database, for error messages."""
    if settings.database_url:
        return f"The database set by {settings.prefix}DATABASE_URL"
    if wishes.db is not None:
        return "The database of db=, the site's own,"
    return f"The database file {settings.data_dir / DATABASE_FILE}"


def _flow_folders(settings: Settings) -> list[Path]:
    return [Path(folder).expanduser().absolute() for folder in settings.flows_dir]
