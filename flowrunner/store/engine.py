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

#: Pages that a connection keeps. SQLite keeps 2,000 KiB, forgets them whenever another connection has written, and
#: asks the system's own cache then: reads and runs are as fast with a quarter, and each of sixteen connections smaller.
_CACHE_KIB: Final = 512

_BEGIN: Final = "flowrunner_begin"
_PREPARED: Final = "flowrunner_prepared"
_CLOSED: Final = "flowrunner_closed"
_EXTENSION: Final = "flowrunner_engines"


def database_url(settings: Settings, app: Flask | None = None) -> URL:
    """Return where the app's own data is kept: the setting, else a SQLite file in the data folder.

    A relative SQLite path is relative to the data folder.

    :raises SettingsInvalid: for a URL that cannot be read, a SQLite database without a file, or no data folder.
    """
    if not settings.database_url:
        return URL.create("sqlite", database=str(_data_folder(settings, app) / DATABASE_FILE))
    name = settings.prefix + "DATABASE_URL"
    try:
        url = make_url(settings.database_url)
    except Exception as error:
        # The URL may hold a password, so neither it nor the parser's words are shown.
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
    """Refuse a database whose driver is not installed, saying what to install.

    :raises SettingsInvalid: if it is not.
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
    """Return the bind key of a runner, as of Flask-SQLAlchemy: ``flowrunner``, or the word of its own prefix."""
    return settings.prefix.rstrip("_").lower() or "flowrunner"


def database_engine(app: Flask | None, settings: Settings) -> Engine:
    """Return the engine of the app's own data, made on first use.

    :param app: the app it is attached to; None in scripts, where it belongs to the settings object.
    :raises SettingsInvalid: as :func:`database_url` and :func:`attach_database`.
    """
    if app is not None:
        found: Engine | None = app.extensions.get(_EXTENSION, {}).get(bind_key(settings))
        return found if found is not None else attach_database(app, settings)
    kept = vars(settings)
    if _EXTENSION not in kept:
        kept[_EXTENSION] = make_engine(database_url(settings), settings.database_timeout)
    engine: Engine = kept[_EXTENSION]
    return engine


def attach_database(app: Flask, settings: Settings, db: Any = None) -> Engine:
    """Give an app the engine of the runner's own data.

    It is apart from the Flask-SQLAlchemy of a site, unless that has a bind of our name, or the owner
    passes their ``db`` without a URL of our own: then its PostgreSQL database is shared, table names
    being ours, over connections of our own. A SQLite file is never shared with the host.

    :param db: the host's ``SQLAlchemy`` object.
    :raises SettingsInvalid: if our SQLite file is one of the host's, or ``db`` is not of this app.
    """
    engines = app.extensions.setdefault(_EXTENSION, {})
    key = bind_key(settings)
    if key not in engines:
        engines[key] = _attach(app, settings, db, key)
    engine: Engine = engines[key]
    return engine


def close_database(app: Flask | None, settings: Settings) -> None:
    """Close the connections of the app's own data; a host's own engine is left to the host."""
    engines = vars(settings) if app is None else app.extensions.get(_EXTENSION, {})
    engine = engines.pop(_EXTENSION if app is None else bind_key(settings), None)
    if engine is not None:
        close_engine(engine)


def close_engine(engine: Engine) -> None:
    """Close the connections of an engine of ours; a host's own is left to the host."""
    if _PREPARED in engine.get_execution_options():
        engine.update_execution_options(**{_CLOSED: True})
        engine.dispose()
        close_turn(engine)


def refuse_usual_file(app: Flask, settings: Settings) -> None:
    """Refuse to keep our data in the usual SQLite file if the host has it for its own.

    :raises SettingsInvalid: saying so.
    """
    host = app.extensions.get("sqlalchemy")
    if host is not None:
        _refuse_shared_file(database_url(settings, app), _engines_of(app, host))


def refuse_shared_file(app: Flask, engine: Engine) -> None:
    """Refuse to go on if the host has opened our SQLite file as its own after us.

    :raises SettingsInvalid: saying so.
    """
    host = app.extensions.get("sqlalchemy")
    if host is not None:
        _refuse_shared_file(engine.url, _engines_of(app, host))


def make_engine(url: URL, patience: float = 0.0) -> Engine:
    """Return an engine set up as the app's own data wants it; nothing is opened before its first connection.

    :param patience: as for :func:`prepare_engine`.
    """
    return prepare_engine(create_engine(url, **engine_options(url)), patience)


def engine_options(url: URL) -> dict[str, Any]:
    """Return how an engine is made for a URL: pool and driver options."""
    if url.get_backend_name() != "sqlite":
        return {"pool_size": 10, "max_overflow": 54, "pool_pre_ping": True, "pool_use_lifo": True}
    # A connection to a file is cheap and one per thread is the most that can be wanted, so none waits for another.
    return {
        "pool_size": 16,
        "max_overflow": -1,
        "pool_use_lifo": True,
        "connect_args": {"timeout": BUSY_SECONDS},
    }


def prepare_engine(engine: Engine, patience: float = 0.0) -> Engine:
    """Add what our engines have in common: SQLite pragmas, ``BEGIN IMMEDIATE``, safety after a fork.

    An engine that was closed is opened again.

    :param patience: seconds that a server may take to answer a statement; 0: as long as it wants.
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
    _keep_from_children(engine)
    return engine


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Open a transaction that writes; it is committed at the end, or rolled back by an error.

    On SQLite it takes the write lock at once (``BEGIN IMMEDIATE``), waiting up to 30 seconds.

    :raises StoreFailed: if the database itself fails: away, full, read-only, replaced. It is a
        ``SQLAlchemyError``, too; errors of a statement are SQLAlchemy's own.
    """
    with store_errors(engine), taking_turns(engine), engine.begin() as connection:
        yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Open a connection that only reads, one consistent state, without waiting for writers.

    :raises StoreFailed: as :func:`writing`.
    """
    with store_errors(engine), engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.execution_options(**{_BEGIN: "BEGIN"})
        yield connection


def go_alone(connection: Connection, word: str) -> None:
    """Let one writer of a kind at a time go on, until its transaction ends; on SQLite it has the lock already."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": zlib.crc32(word.encode())})


def _data_folder(settings: Settings, app: Flask | None) -> Path:
    if settings.data_dir is not None:
        return Path(settings.data_dir)
    if app is not None:
        return Path(app.instance_path)
    raise SettingsInvalid(f"{settings.prefix}DATA_DIR is not set, so there is no folder for the database.")


def _attach(app: Flask, settings: Settings, db: Any, key: str) -> Engine:
    host = app.extensions.get("sqlalchemy")
    if db is not None and db is not host:
        raise SettingsInvalid(
            "The db passed to flowrunner is not initialized for this app: call db.init_app(app) first."
        )
    engines = {} if host is None else _engines_of(app, host)
    if key in engines:
        return prepare_engine(engines[key], settings.database_timeout)
    default = engines.get(None)
    if db is not None and default is not None and not settings.database_url and default.dialect.name != "sqlite":
        return _share_server(app, settings, default)
    url = database_url(settings, app)
    _refuse_shared_file(url, engines)
    return make_engine(url, settings.database_timeout)


def _share_server(app: Flask, settings: Settings, theirs: Engine) -> Engine:
    """Return an engine on the host's server, with connections of our own made in the host's way.

    One pool for both could be empty: each of its connections held by a request of the site that
    waits for one of ours.
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
    """Make the file of a database that is not there, for its owner alone; SQLite's files beside it follow it."""
    path = Path(arguments[0])
    # Where it cannot be made, SQLite says so in its own words, which those who connect expect.
    with suppress(OSError):
        if path.exists():
            return
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))


def _set_up_sqlite(connection: sqlite3.Connection, record: Any) -> None:
    # Our own BEGIN decides how a transaction starts; the driver's would come too late to be IMMEDIATE.
    connection.isolation_level = None
    deadline = time.monotonic() + BUSY_SECONDS
    while connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError:
            # Switching needs the file alone and does not wait by itself; another worker may be switching too.
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
    """Close a connection that a thread gives back after the engine was closed: nobody asks its pool any more."""
    reference = weakref.ref(engine)

    def came_back(connection: Any, record: Any) -> None:
        found = reference()
        if found is None or found.get_execution_options()[_CLOSED]:
            record.invalidate()

    event.listen(engine, "checkin", came_back)


def _keep_from_children(engine: Engine) -> None:
    """Give a forked child a pool of its own; the parent's connections are kept there, unused and unclosed.

    Closing them in the child could release locks that the parent holds.
    """
    if not hasattr(os, "register_at_fork"):
        return
    reference = weakref.ref(engine)
    inherited: list[Any] = []

    def renew() -> None:
        found = reference()
        if found is not None:
            inherited.append(found.pool)
            found.dispose(close=False)

    os.register_at_fork(after_in_child=renew)
