"""Checks of the database: whether it opens, its schema version, whether stored secrets can be decrypted."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from flowrunner.doctor.access import listens_here_only
from flowrunner.doctor.finding import Diagnosis, error, warning
from flowrunner.doctor.installation import Installation
from flowrunner.errors import FlowRunnerError
from flowrunner.memory.message import utc_now
from flowrunner.plugins.selection import chosen_schemas
from flowrunner.settings.reading import PREFIX
from flowrunner.settings.setting import Settings
from flowrunner.store.engine import close_database, database_engine, database_url, reading
from flowrunner.store.foreign_file import find_foreign
from flowrunner.store.postgres_rights import GRANTS, missing_rights
from flowrunner.store.secretbox import KEY_FILE, SecretBox, open_secret_box
from flowrunner.store.tables import SCHEMA, api_keys, runs, variables
from flowrunner.text.timestamps import moment_text

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from flowrunner.store.schema import DatabaseSchema

_LOOK_SECONDS: Final = 10.0
_AHEAD: Final = timedelta(minutes=5)
_LEAST_KEY: Final = 16


def find_database_trouble(installation: Installation) -> Iterator[Diagnosis]:
    """Find what is wrong with the database and with what it holds; a database that is not there yet is in order."""
    settings = installation.settings
    if settings is None or installation.plugins is None or installation.data_dir is None:
        return
    if settings.secret_key and len(settings.secret_key) < _LEAST_KEY:
        message = f"{PREFIX}SECRET_KEY has {len(settings.secret_key)} characters and could be guessed."
        remedy = "Use 32 random bytes (openssl rand -hex 32); stored secrets must then be entered again."
        yield warning("secret-key-weak", message, remedy)
    file = installation.sqlite_file
    # Where the data folder is none, the checks of folders say so.
    is_placed = file is not None and (settings.database_url or file.parent.is_dir())
    foreign = find_foreign(file) if file is not None and is_placed else None
    if foreign is not None:
        name = f"{PREFIX}{'DATABASE_URL' if settings.database_url else 'DATA_DIR'}"
        remedy = foreign.remedy(PREFIX, named=bool(settings.database_url))
        code = "database-damaged" if foreign.damaged else "database-foreign"
        yield error(code, f"{name}: the database file {file} {foreign.what}.", f"{remedy[0].upper()}{remedy[1:]}.")
        return
    if file is not None and not file.is_file():
        return
    try:
        database_url(settings)
        damage = None if file is None else damage_of(file)
        if damage is not None:
            remedy = f"Stop the server, keep a copy of {file}, and restore a backup (flowrunner restore)."
            yield error("database-damaged", f"The database {file} is damaged: {damage}.", remedy)
            return
        yield from _look_inside(installation, settings)
    except FlowRunnerError:
        return  # a setting that the checks of settings tell of
    finally:
        close_database(None, settings)


def damage_of(file: Path, seconds: float = _LOOK_SECONDS) -> str | None:
    """Return what SQLite says is wrong with a file, or None; a large one is looked at for some seconds only."""
    until = time.monotonic() + seconds
    try:
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True, timeout=5)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            connection.set_progress_handler(lambda: time.monotonic() > until, 10_000)
            said = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
            return None if said == "ok" else said.splitlines()[-1]
    except sqlite3.DatabaseError as failure:
        interrupted = getattr(failure, "sqlite_errorname", "") == "SQLITE_INTERRUPT" or "interrupted" in str(failure)
        busy = isinstance(failure, sqlite3.OperationalError) and "locked" in str(failure)
        return None if interrupted or busy else str(failure)


def _look_inside(installation: Installation, settings: Settings) -> Iterator[Diagnosis]:
    from sqlalchemy.exc import DBAPIError

    engine = database_engine(None, settings)
    try:
        outdated = list(_other_releases(installation, engine))
        yield from outdated
        with reading(engine) as connection:
            if connection.dialect.name == "postgresql":
                yield from _postgres_trouble(connection, installation)
                lacking = missing_rights(connection, _tables(installation))
                if lacking:
                    message = f"The database of {PREFIX}DATABASE_URL cannot be written: {lacking}."
                    yield error("database-rights", message, f"{GRANTS[0].upper()}{GRANTS[1:]}.")
                    return
            if not outdated and SCHEMA.current(engine) is not None:
                yield from _content_trouble(connection, installation, settings)
    except TypeError:
        # SQLAlchemy cannot read the answers of a PostgreSQL that knows bytes and no characters (SQL_ASCII).
        yield _without_unicode("SQL_ASCII")
    except DBAPIError as failure:
        reason = (str(getattr(failure, "orig", failure)).splitlines() or [type(failure).__name__])[0].rstrip(".")
        name = f"{PREFIX}DATABASE_URL" if settings.database_url else f"{PREFIX}DATA_DIR"
        message = f"The database of {name} cannot be used: {reason}."
        yield error("database-unreachable", message, f"Start it, or correct {name}.")


def _schemas(installation: Installation) -> list[DatabaseSchema]:
    """Return our own schema, and those of the chosen stores."""
    assert installation.plugins is not None and installation.settings is not None
    return [SCHEMA, *chosen_schemas(installation.plugins.registry, installation.settings)]


def _tables(installation: Installation) -> list[str]:
    return [name for schema in _schemas(installation) for name in schema.metadata.tables]


def _other_releases(installation: Installation, engine: Engine) -> Iterator[Diagnosis]:
    """Find tables of another release: our own, and those of the chosen stores."""
    for schema in _schemas(installation):
        found = schema.current(engine)
        if found in (None, schema.head):
            continue
        if found in schema.revisions():
            message = f"The tables of {schema.name} are from an older release ({found}; this one needs {schema.head})."
            yield error("database-outdated", message, "flowrunner backup DIR, then flowrunner db upgrade")
        else:
            message = f"The tables of {schema.name} are from a newer release ({found}; this one needs {schema.head})."
            yield error("database-newer", message, "Install that release, or restore an older backup.")


def _postgres_trouble(connection: Connection, installation: Installation) -> Iterator[Diagnosis]:
    encoding = str(connection.exec_driver_sql("SHOW server_encoding").scalar())
    if encoding.upper() not in ("UTF8", "UTF-8"):
        yield _without_unicode(encoding)
    allowed = int(str(connection.exec_driver_sql("SHOW max_connections").scalar()))
    pool = connection.engine.pool
    each = getattr(pool, "_max_overflow", 0) + getattr(pool, "size", lambda: 0)()
    wanted = each * installation.workers()
    if wanted > allowed:
        message = (
            f"{installation.workers()} processes may open {wanted} connections, but the database allows only {allowed}."
        )
        yield warning("database-connections", message, "Raise max_connections, or put PgBouncer in front of it.")


def _without_unicode(encoding: str) -> Diagnosis:
    message = f"The database encoding is {encoding}, which cannot store all of Unicode."
    return error("database-encoding", message, "Create a database with ENCODING 'UTF8' and restore a backup into it.")


def _content_trouble(connection: Connection, installation: Installation, settings: Settings) -> Iterator[Diagnosis]:
    from sqlalchemy import func, select

    has_keys = connection.execute(select(api_keys.c.id).limit(1)).first() is not None
    asks = settings.sources.get("AUTH") != "default" or not listens_here_only(settings)
    if settings.auth == "key" and asks and not has_keys and not _others_identify(installation):
        message = "Every request needs an API key, but there are none."
        yield error("no-keys", message, "flowrunner keys create --user NAME")
    newest = connection.execute(select(func.max(runs.c.accepted_at))).scalar()
    if newest is not None and str(newest) > moment_text(utc_now() + _AHEAD):
        message = (
            f"The newest run was accepted at {newest}, but the clock of this machine shows {moment_text(utc_now())}."
        )
        yield error("clock-wrong", message, "Set the clock (timedatectl set-ntp true): turns are ordered by it.")
    yield from _sealed_trouble(connection, installation, settings)


def _others_identify(installation: Installation) -> bool:
    """Return whether a plugin tells who sends a request."""
    assert installation.plugins is not None
    return bool(installation.plugins.pm.hook.identify.get_hookimpls())


def _sealed_trouble(connection: Connection, installation: Installation, settings: Settings) -> Iterator[Diagnosis]:
    """Find stored secrets that the key of these settings does not open."""
    from sqlalchemy import select

    sealed = connection.execute(select(variables.c.value).where(variables.c.value.is_not(None)).limit(50)).scalars()
    texts = [str(value) for value in sealed]
    if not texts:
        return
    assert installation.data_dir is not None
    box = _box(settings, installation.data_dir)
    if box is None:
        message = (
            f"There are stored secrets, but the key that decrypts them is missing or damaged:"
            f" {installation.data_dir / KEY_FILE}."
        )
        yield error("secret-key-missing", message, "Restore that file from a backup, or enter the secrets again.")
    elif all(box.open(text) is None for text in texts):
        message = "The stored secrets were encrypted with another key and cannot be decrypted."
        remedy = f"Set {PREFIX}SECRET_KEY to the previous key, or restore {installation.data_dir / KEY_FILE}."
        yield error("secret-key-other", message, remedy)


def _box(settings: Settings, folder: Path) -> SecretBox | None:
    """Return what opens stored secrets, or None where there is no key; none is made."""
    if not settings.secret_key and not (folder / KEY_FILE).is_file():
        return None
    try:
        return open_secret_box(settings.secret_key, folder)
    except FlowRunnerError:
        return None
