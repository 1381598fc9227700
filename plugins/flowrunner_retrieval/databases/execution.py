"""Execute one statement, with limits on rows, text and time."""

from __future__ import annotations

import contextlib
import sqlite3
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy.exc import NoSuchModuleError

from flowrunner import CancelToken, TextBudget

from .cells import plain_cell, size_of
from .database_access import Database, DatabaseRefused
from .postgres import without_surroundings
from .statements import check_reading, clean_query, reads

#: Tables of the app itself, in whatever database they are.
_OWN_IN_SQLITE: Final = (
    "SELECT 1 FROM sqlite_master WHERE name IN ('flowrunner_flows', 'flowrunner_messages', 'flowrunner_api_keys')"
)
_OWN_IN_POSTGRES: Final = (
    "SELECT 1 FROM pg_catalog.pg_class"
    " WHERE relname IN ('flowrunner_flows', 'flowrunner_messages', 'flowrunner_api_keys')"
)
_CONNECT_SECONDS: Final = 10
_STEPS: Final = 1000
#: Bytes of one value or row of SQLite: four for each character that may be made, between these.
_LEAST_VALUE: Final = 1_000_000
_MOST_VALUE: Final = 16_000_000
#: What a statement on SQLite may not do, whoever sends it: reach other files.
_NEVER: Final = frozenset({sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH})


class QueryFailed(ValueError):
    """A database that does not answer, or not within the bounds; the text says why."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much may come back and how long it may take."""

    rows: int
    seconds: float
    budget: TextBudget
    #: Bytes of a SQLite file that a statement makes larger, and of what it keeps aside.
    file: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the names of columns and the rows; without columns, how many rows were changed."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    changed: int = -1


def ask(database: Database, text: str, *, write: bool, bounds: Bounds, cancelled: CancelToken) -> Answer:
    """Send one statement and return what comes back.

    :param write: let it change the database.
    :raises QueryRefused: for a statement that would, where it may not.
    :raises QueryFailed: with what the database says.
    :raises DatabaseRefused: if the driver is not there, or the database is the app's own.
    """
    query = clean_query(text)
    if not write:
        check_reading(query, database.kind)
    cancelled.raise_if_set()
    way: Callable[..., Answer] = _OF_KIND.get(database.kind, _ask_other)
    try:
        return way(database, query, write, bounds, cancelled)
    except RecursionError:
        raise QueryFailed("a value in the answer is nested too deeply") from None


def _ask_sqlite(database: Database, query: str, write: bool, bounds: Bounds, cancelled: CancelToken) -> Answer:
    name = ":memory:"
    if database.path is not None:
        name = f"file:{quote(str(database.path))}?mode={'rw' if write else 'ro'}"
    ends = time.monotonic() + bounds.seconds
    connection = sqlite3.connect(name, uri=True, timeout=min(bounds.seconds, 5.0), isolation_level=None)
    try:
        _limit(connection, database, bounds)
        connection.execute("PRAGMA trusted_schema = OFF")
        own = connection.execute(_OWN_IN_SQLITE).fetchone()
        _refuse_own(own)
        if not write:
            connection.execute("PRAGMA query_only = ON")
        connection.set_authorizer(_judge)
        connection.set_progress_handler(lambda: int(bool(cancelled) or time.monotonic() > ends), _STEPS)
        cursor = connection.execute(query)
        return _taken(cursor.description, iter(cursor), bounds, ends, cursor.rowcount)
    except sqlite3.Warning as error:
        raise QueryFailed("send one statement at a time") from error
    except sqlite3.Error as error:
        cancelled.raise_if_set()
        raise _failed(error, ends, bounds) from error
    finally:
        connection.close()


def _limit(connection: sqlite3.Connection, database: Database, bounds: Bounds) -> None:
    """Bound what one value and one row may take, and how large the database may become.

    SQLite makes values within one step, in which neither time nor a cancelled run is looked at.
    """
    # Python 3.10 cannot say it: there the bound is SQLite's own.
    if sys.version_info >= (3, 11):
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, max(_LEAST_VALUE, min(4 * bounds.budget.most, _MOST_VALUE)))
    for schema in ("main", "temp"):
        size = connection.execute(f"PRAGMA {schema}.page_size").fetchone()[0]
        pages = connection.execute(f"PRAGMA {schema}.page_count").fetchone()[0]
        # A file that is larger already grows no further; one of the operator's by as much with each statement.
        most = bounds.file // size + (pages if database.of_operator else 0)
        connection.execute(f"PRAGMA {schema}.max_page_count = {max(most, 1)}")


def _judge(action: int, first: str | None, second: str | None, *rest: Any) -> int:
    if action in _NEVER:
        return sqlite3.SQLITE_DENY
    if action == sqlite3.SQLITE_PRAGMA and second is not None and (first or "").lower() not in _PRAGMAS:
        return sqlite3.SQLITE_DENY
    if action == sqlite3.SQLITE_FUNCTION and (second or "").lower() in ("load_extension", "writefile", "readfile"):
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK


#: Pragmas that take a value and only tell something.
_PRAGMAS: Final = frozenset(
    {"table_info", "table_xinfo", "table_list", "index_list", "index_info", "index_xinfo", "foreign_key_list"}
)


def _ask_postgres(database: Database, query: str, write: bool, bounds: Bounds, cancelled: CancelToken) -> Answer:
    ends = time.monotonic() + bounds.seconds
    with _connected(database, bounds, ends, cancelled, "cancel") as connection:
        connection.read_only = not write
        connection.execute(f"SET LOCAL statement_timeout = {max(1, int(bounds.seconds * 1000))}")
        # The transaction has begun to read with this, so that no statement can make it one that writes.
        _refuse_own(connection.execute(_OWN_IN_POSTGRES).fetchone())
        answer = _sent_to_postgres(connection.cursor(), query, write, bounds, ends)
        if write:
            connection.commit()
        return answer


def _sent_to_postgres(cursor: Any, query: str, write: bool, bounds: Bounds, ends: float) -> Answer:
    """Send a statement in a way in which a server takes one, and not several."""
    if write and not reads(query):
        cursor.execute(query, prepare=True)
        return _taken(cursor.description, iter(cursor) if cursor.description else (), bounds, ends, cursor.rowcount)
    # Rows come one by one, and no more of them are kept than may be.
    rows = cursor.stream(query)
    try:
        first = next(rows, None)
        return _taken(cursor.description, rows if first is None else _and(first, rows), bounds, ends, -1)
    finally:
        rows.close()


def _ask_other(database: Database, query: str, write: bool, bounds: Bounds, cancelled: CancelToken) -> Answer:
    """Ask over whatever driver the URL names; what it changes without leave is rolled back."""
    ends = time.monotonic() + bounds.seconds
    with _connected(database, bounds, ends, cancelled, "close") as connection:
        cursor = connection.cursor()
        for statement in _preparations(database, write, bounds):
            with contextlib.suppress(_driver(database).Error):
                cursor.execute(statement)
        cursor.execute(query)
        answer = _taken(cursor.description, _fetched(cursor), bounds, ends, cursor.rowcount)
        if write:
            connection.commit()
        else:
            connection.rollback()
        return answer


@contextlib.contextmanager
def _connected(database: Database, bounds: Bounds, ends: float, cancelled: CancelToken, stop: str) -> Iterator[Any]:
    """Connect by the database's driver, and close the connection; what goes wrong within is the answer's failure.

    :param stop: the connection's method that ends a statement when the run is cancelled.
    """
    driver = _driver(database)
    arguments, named = connect_arguments(database)
    try:
        connection = driver.connect(*arguments, **named)
    except driver.Error as error:
        raise _unreachable(database, error) from error
    forget = cancelled.call_when_set(lambda: _quietly(getattr(connection, stop)))
    try:
        yield connection
    except driver.Error as error:
        cancelled.raise_if_set()
        raise _failed(error, ends, bounds) from error
    finally:
        forget()
        _quietly(connection.close)


_OF_KIND: Final[dict[str, Callable[..., Answer]]] = {"sqlite": _ask_sqlite, "postgresql": _ask_postgres}


def connect_arguments(database: Database) -> tuple[Sequence[Any], dict[str, Any]]:
    """Return what the driver's ``connect`` is given; a checked address is the one to which it connects.

    Where others than the operator name the server, it gets nothing that the driver finds on this machine.
    """
    url, kind = database.url, database.kind
    if database.address is not None and kind != "postgresql":
        url = url.set(host=database.address)
    arguments, made = url.get_dialect()().create_connect_args(url)
    named = dict(made)
    if kind in ("postgresql", "mysql", "mariadb"):
        named.setdefault("connect_timeout", _CONNECT_SECONDS)
    if database.address is not None and kind == "postgresql":
        # The name stays, for the certificate is proved by it.
        named["hostaddr"] = database.address
        named = without_surroundings(named)
    return arguments, named


def _preparations(database: Database, write: bool, bounds: Bounds) -> Iterator[str]:
    if database.kind not in ("mysql", "mariadb"):
        return
    yield f"SET SESSION max_execution_time = {int(bounds.seconds * 1000)}"
    yield f"SET SESSION max_statement_time = {bounds.seconds}"
    if not write:
        yield "SET SESSION TRANSACTION READ ONLY"
        yield "START TRANSACTION READ ONLY"


def _driver(database: Database) -> Any:
    """Return the driver's module.

    :raises DatabaseRefused: saying what to install.
    """
    try:
        return database.url.get_dialect().import_dbapi()
    except NoSuchModuleError:
        kind = database.url.drivername[:40]
        raise DatabaseRefused(f"SQLAlchemy has no dialect {kind}: install the package that provides it") from None
    except ImportError as error:
        extra = {"postgresql": "postgres", "mysql": "mysql", "mariadb": "mysql"}.get(database.kind)
        what = f"pip install 'flask-flowrunner[{extra}]'" if extra else f"install the driver {error.name or 'of it'}"
        raise DatabaseRefused(f"the driver for {database.kind[:40]} is not installed: {what}") from error


def _taken(description: Any, rows: Iterable[Any], bounds: Bounds, ends: float, changed: int) -> Answer:
    """Return rows as they come.

    :raises QueryFailed: if there are too many, or they take too long.
    """
    if not description:
        return Answer((), [], changed)
    columns = _unique([str(column[0]) for column in description])
    found: list[tuple[Any, ...]] = []
    for row in rows:
        if len(found) >= bounds.rows:
            raise QueryFailed(f"more than {bounds.rows} rows would be returned: limit the query (FLOWRUNNER_SQL_ROWS)")
        if time.monotonic() > ends:
            raise _late(bounds)
        cells = tuple(plain_cell(cell) for cell in row)
        bounds.budget.take(sum(map(size_of, cells)))
        found.append(cells)
    return Answer(columns, found)


def _unique(names: Sequence[str]) -> tuple[str, ...]:
    """Return names of columns of which each occurs once: a row is an object."""
    found: dict[str, None] = {}
    for name in names:
        tried, number = name, 1
        while tried in found:
            number += 1
            tried = f"{name}_{number}"
        found[tried] = None
    return tuple(found)


def _and(first: Any, rows: Iterable[Any]) -> Iterator[Any]:
    yield first
    yield from rows


def _fetched(cursor: Any) -> Iterator[Any]:
    while part := cursor.fetchmany(500):
        yield from part


def _refuse_own(found: Any) -> None:
    if found is not None:
        raise DatabaseRefused("flows cannot query the app's own database")


def _failed(error: Exception, ends: float, bounds: Bounds) -> QueryFailed:
    if time.monotonic() > ends or "statement timeout" in str(error):
        return _late(bounds)
    said = str(error).strip().partition("\n")[0]
    return QueryFailed(f"the database reports: {said[:500] or type(error).__name__}")


def _late(bounds: Bounds) -> QueryFailed:
    return QueryFailed(f"the query takes longer than {bounds.seconds:g} seconds (FLOWRUNNER_SQL_SECONDS)")


def _unreachable(database: Database, error: Exception) -> QueryFailed:
    said = str(error).strip().partition("\n")[0]
    return QueryFailed(f"{database.shown} cannot be reached: {said[:300] or type(error).__name__}")


def _quietly(act: Callable[[], Any]) -> None:
    with contextlib.suppress(Exception):
        act()
