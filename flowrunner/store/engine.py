"""Create and close the database engine of the app's own data."""

from __future__ import annotations

import logging
import os
import sqlite3
import time
import weakref
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import NoSuchModuleError

from flowrunner.errors import SettingsInvalid
from flowrunner.store.file_identity import check_place, keep_to_file
from flowrunner.store.outage import store_errors
from flowrunner.store.postgres_timeouts import bound_waiting
from flowrunner.store.write_turn import close_turn, taking_turns

if TYPE_CHECKING:
    from flask import Flask

    from flowrunner.settings.setting import Settings

logger = logging.getLogger("flowrunner")

DATABASE_FILE: Final = "flowrunner.db"
BUSY_SECONDS: Final = 30.0

#: The page cache of a connection. SQLite's default of 2,000 KiB is dropped when another connection writes, and read
#: from the system's cache again: a quarter is as fast, and each of sixteen connections is smaller.
_CACHE_KIB: Final = 512

_BEGIN: Final = "flowrunner_begin"
_PREPARED: Final = "flowrunner_prepared"
_CLOSED: Final = "flowrunner_closed"
_EXTENSION: Final = "flowrunner_engines"


def database_url(settings: Settings, app: Flask | None = None) -> URL:
    """Return the URL of the app's own database: the setting, or else a SQLite file in the data folder.

    A relative SQLite path is relative to the data folder.

    :raises SettingsInvalid: for an invalid URL, an in-memory SQLite database, or if there is no data folder.
    """
    if not settings.database_url:
        return URL.create("sqlite", database=str(_data_folder(settings, app) / DATABASE_FILE))
    name = settings.prefix + "DATABASE_URL"
    try:
        url = make_url(settings.database_url)
    except Exception as error:
        # The URL may contain a password, so neither it nor the parser's message is shown.
        raise SettingsInvalid(f"{name} is not a database URL.") from error
    if url.drivername in ("postgres", "postgresql"):
        url = url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() != "sqlite":
        _check_driver(url, name)
        return url
    if not url.database or url.database.startswith((":memory:", "file:")):
        raise SettingsInvalid(f"{name} must name a SQLite file: an in-memory database is neither shared nor kept.")
    if not Path(url.database).is_absolute():
        url = url.set(database=str(_data_folder(settings, app) / url.database))
    return url


def _check_driver(url: URL, name: str) -> None:
    """Check that the driver of a database is installed.

    :raises SettingsInvalid: if it is not, naming what to install.
    """
    try:
        url.get_dialect().import_dbapi()
    except NoSuchModuleError:
        raise SettingsInvalid(f"{name} names a kind of database that SQLAlchemy does not support.") from None
    except ImportError as error:
        is_usual = url.drivername == "postgresql+psycopg"
        what = "pip install 'flask-flowrunner[postgres]'" if is_usual else f"install {error.name or 'it'}"
        raise SettingsInvalid(f"{name} names a database whose driver is not installed: {what}.") from error


def bind_key(settings: Settings) -> str:
    """Return the bind key of a runner in Flask-SQLAlchemy: ``flowrunner``, or the name in its own prefix."""
    return settings.prefix.rstrip("_").lower() or "flowrunner"


def database_engine(app: Flask | None, settings: Settings) -> Engine:
    """Return the engine of the app's own data, created on first use.

    :param app: the app that the engine belongs to; None in scripts, where it belongs to the settings.
    :raises SettingsInvalid: as :func:`database_url` and :func:`attach_database` do.
    """
    if app is not None:
        found: Engine | None = app.extensions.get(_EXTENSION, {}).get(bind_key(settings))
        return found if found is not None else attach_database(app, settings)
    kept = vars(settings)
    if _EXTENSION not in kept:
        kept[_EXTENSION] = make_engine(database_url(settings), settings.database_timeout)
    engine: Engine = kept[_EXTENSION]
    return engine


def attach_database(app: Flask, settings: Settings, db: Any = None, *, alone: bool = True) -> Engine:
    """Return the engine of the runner's own data for an app, created on first use.

    An app of ours gets a Flask-SQLAlchemy with our bind alone; a site without one stays without. The engine is
    separate from the Flask-SQLAlchemy of a site, unless that has a bind with our name, or the owner passes
    their ``db`` and sets no URL: then their PostgreSQL database is shared, with our own tables and connections. A
    SQLite file is never shared with the host.

    :param db: the host's ``SQLAlchemy`` object.
    :param alone: whether the app is our own.
    :raises SettingsInvalid: if our SQLite file is used by the host, or ``db`` belongs to another app.
    """
    engines = app.extensions.setdefault(_EXTENSION, {})
    key = bind_key(settings)
    if key not in engines:
        engines[key] = _attach(app, settings, db, key, alone)
    engine: Engine = engines[key]
    return engine


def close_database(app: Flask | None, settings: Settings) -> None:
    """Close the connections of the app's own database; an engine of the host stays open."""
    engines = vars(settings) if app is None else app.extensions.get(_EXTENSION, {})
    engine = engines.pop(_EXTENSION if app is None else bind_key(settings), None)
    if engine is not None:
        close_engine(engine)


def close_engine(engine: Engine) -> None:
    """Close the connections of our own engine; an engine of the host stays open."""
    if _PREPARED in engine.get_execution_options():
        engine.update_execution_options(**{_CLOSED: True})
        engine.dispose()
        close_turn(engine)


def refuse_usual_file(app: Flask, settings: Settings) -> None:
    """Refuse the default SQLite file if the host uses it as its own database.

    :raises SettingsInvalid: if it does.
    """
    host = app.extensions.get("sqlalchemy")
    if host is not None:
        _refuse_shared_file(database_url(settings, app), _engines_of(app, host))


def refuse_shared_file(app: Flask, engine: Engine) -> None:
    """Refuse to continue if the host opened our SQLite file as its own database after us.

    :raises SettingsInvalid: if it did.
    """
    host = app.extensions.get("sqlalchemy")
    if host is not None:
        _refuse_shared_file(engine.url, _engines_of(app, host))


def make_engine(url: URL, patience: float = 0.0) -> Engine:
    """Return an engine configured for the app's own data. It connects on first use.

    :param patience: as in :func:`prepare_engine`.
    """
    return prepare_engine(create_engine(url, **engine_options(url)), patience)


def engine_options(url: URL) -> dict[str, Any]:
    """Return the pool and driver options of an engine for a URL."""
    if url.get_backend_name() != "sqlite":
        return {"pool_size": 10, "max_overflow": 54, "pool_pre_ping": True, "pool_use_lifo": True}
    # Connections to a file are cheap and at most one per thread is needed, so the pool is never a bottleneck.
    return {
        "pool_size": 16,
        "max_overflow": -1,
        "pool_use_lifo": True,
        "connect_args": {"timeout": BUSY_SECONDS},
    }


def prepare_engine(engine: Engine, patience: float = 0.0) -> Engine:
    """Set up an engine: SQLite pragmas, ``BEGIN IMMEDIATE``, and handling of forks.

    An engine that was closed is opened again.

    :param patience: the time limit for a statement on a server, in seconds; 0 for none.
    """
    prepared = _PREPARED in engine.get_execution_options()
    engine.update_execution_options(**{_PREPARED: True, _CLOSED: False})
    if prepared:
        return engine
    _close_what_comes_late(engine)
    if engine.dialect.name == "sqlite":
        keep_to_file(engine)
        event.listen(engine, "do_connect", _make_private)
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    else:
        bound_waiting(engine, patience)
    _in_children.add(engine)
    return engine


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Open a write transaction, which is committed at the end of the block, or rolled back by an error.

    On SQLite it takes the write lock immediately (``BEGIN IMMEDIATE``), waiting up to 30 seconds.

    :raises StoreFailed: if the database is unavailable: not reachable, full, read-only or replaced. The error is also
        a ``SQLAlchemyError``; errors of a statement are SQLAlchemy's own.
    """
    with store_errors(engine), taking_turns(engine), engine.begin() as connection:
        yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Open a read-only connection that sees one consistent state and does not wait for writers.

    :raises StoreFailed: as in :func:`writing`.
    """
    with store_errors(engine), engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.execution_options(**{_BEGIN: "BEGIN"})
        yield connection


def go_alone(connection: Connection, word: str) -> None:
    """Take a lock for one kind of writers until the transaction ends; on SQLite the writer has the lock already."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": zlib.crc32(word.encode())})


def _data_folder(settings: Settings, app: Flask | None) -> Path:
    if settings.data_dir is not None:
        return Path(settings.data_dir)
    if app is not None:
        return Path(app.instance_path)
    raise SettingsInvalid(f"{settings.prefix}DATA_DIR is not set, so there is no folder for the database.")


def _attach(app: Flask, settings: Settings, db: Any, key: str, alone: bool) -> Engine:
    host = app.extensions.get("sqlalchemy")
    if db is not None and db is not host:
        raise SettingsInvalid(
            "The db passed to flowrunner is not initialized for this app: call db.init_app(app) first."
        )
    if host is None:
        url = database_url(settings, app)
        if not alone:
            return make_engine(url, settings.database_timeout)
        from flask_sqlalchemy import SQLAlchemy

        app.config.setdefault("SQLALCHEMY_BINDS", {})[key] = {"url": url, **engine_options(url)}
        host = SQLAlchemy()
        host.init_app(app)
        return prepare_engine(_engines_of(app, host)[key], settings.database_timeout)
    engines = _engines_of(app, host)
    if key in engines:
        return prepare_engine(engines[key], settings.database_timeout)
    default = engines.get(None)
    if db is not None and default is not None and not settings.database_url and default.dialect.name != "sqlite":
        return _share_server(app, settings, default)
    url = database_url(settings, app)
    _refuse_shared_file(url, engines)
    return make_engine(url, settings.database_timeout)


def _share_server(app: Flask, settings: Settings, theirs: Engine) -> Engine:
    """Return an engine for the host's database, with our own connections made in the same way as the host's.

    A shared pool could deadlock: all its connections held by requests of the site that wait for one of ours.
    """
    if theirs.dialect.name != "postgresql":
        raise SettingsInvalid(
            f"FlowRunner(db=...): the site's database is {theirs.dialect.name}, but flowrunner supports SQLite"
            " and PostgreSQL: leave"
            " db out to use a separate SQLite file."
        )
    for other in app.extensions.get(_EXTENSION, {}).values():
        if other.url == theirs.url:
            raise SettingsInvalid(
                "Another runner of this app already uses the tables in the site's database: give this one its"
                " own database"
                f" ({settings.prefix}DATABASE_URL), or leave db out."
            )
    return prepare_engine(create_engine(theirs.url, pool=theirs.pool.recreate()), settings.database_timeout)


def _engines_of(app: Flask, host: Any) -> dict[str | None, Engine]:
    with app.app_context():
        engines: dict[str | None, Engine] = host.engines
        return engines


def _refuse_shared_file(url: URL, engines: dict[str | None, Engine]) -> None:
    if url.get_backend_name() != "sqlite":
        return
    ours = os.path.realpath(str(url.database))
    for key, engine in engines.items():
        if (
            engine.dialect.name == "sqlite"
            and engine.url.database
            and _PREPARED not in engine.get_execution_options()
            and os.path.realpath(engine.url.database) == ours
        ):
            bind = f"bind {key!r}" if key else "default database"
            raise SettingsInvalid(
                f"The SQLite file {ours} is the site's own (its {bind}). SQLite lets one connection write at a"
                " time, so a request with an open transaction of the site would wait for itself: give flowrunner"
                " its own file."
            )


def _make_private(dialect: Any, record: Any, arguments: Any, options: Any) -> None:
    """Create the file of a new database with access for its owner only; SQLite's files beside it get the same mode."""
    path = Path(arguments[0])
    # If the file cannot be created, SQLite reports it on connection, as callers expect.
    with suppress(OSError):
        if path.exists():
            return
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))


def _set_up_sqlite(connection: sqlite3.Connection, record: Any) -> None:
    # Our own BEGIN starts the transaction: that of the driver comes too late to be IMMEDIATE.
    connection.isolation_level = None
    deadline = time.monotonic() + BUSY_SECONDS
    while connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError:
            # Switching needs exclusive access and does not wait; another worker may be switching too.
            if time.monotonic() > deadline:
                raise
            time.sleep(0.005)
        else:
            break
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")


def _begin_sqlite(connection: Connection) -> None:
    how = connection.get_execution_options().get(_BEGIN, "BEGIN IMMEDIATE")
    driver: Any = connection.connection.driver_connection
    check_place(driver)
    driver.execute(how)


def _close_what_comes_late(engine: Engine) -> None:
    """Close a connection that is returned after the engine was closed, since its pool is no longer used."""
    reference = weakref.ref(engine)

    def came_back(connection: Any, record: Any) -> None:
        found = reference()
        if found is None or found.get_execution_options()[_CLOSED]:
            record.invalidate()

    event.listen(engine, "checkin", came_back)


#: Pools of the parent: closing their connections in the child could release locks that the parent holds.
_inherited: Final[list[Any]] = []
_in_children: Final[weakref.WeakSet[Engine]] = weakref.WeakSet()


def _renew_pools() -> None:
    """Give a forked child pools of its own; a closed engine has one without connections already."""
    for engine in list(_in_children):
        if not engine.get_execution_options()[_CLOSED]:
            _inherited.append(engine.pool)
            engine.dispose(close=False)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_pools)
