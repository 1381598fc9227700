"""Which database a flow names, who chose it, and whether it may be reached."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from flowrunner import Destination, RunContext, Word, destination, refuse_secrets, text_of

from ..documents.file_access import FileRefused, find_file

#: Drivers that are asked in place of those that a URL names: one for each kind of database.
_DRIVERS: Final = {
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
}
#: What the parameters of a URL may say where its author is not the operator: nothing that reads files.
_HARMLESS: Final = frozenset(
    {"sslmode", "ssl_mode", "ssl", "application_name", "connect_timeout", "charset", "client_encoding", "mode"}
)
#: Kinds of databases that anybody may name.
_KINDS: Final = frozenset({"sqlite", "postgresql", "mysql", "mariadb"})
_PORTS: Final = {"postgresql": 5432, "mysql": 3306, "mariadb": 3306}


class DatabaseRefused(ValueError):
    """A database that a flow may not reach, or cannot; the text says why, without its password."""


@dataclass(frozen=True, slots=True)
class Database:
    """A database that may be reached: ``path`` of a file (None in memory), or ``address``, to which to connect.

    ``writable`` says whether it may be written at all, which is not to say that this flow may; ``of_request``,
    that it is on a server that the request alone named; ``of_operator``, that it is a SQLite file of the operator's.
    """

    url: URL
    path: Path | None = None
    address: str | None = None
    writable: bool = True
    of_request: bool = False
    of_operator: bool = False

    @property
    def kind(self) -> str:
        """``sqlite``, ``postgresql``, ...: what SQLAlchemy calls the backend."""
        return self.url.get_backend_name()

    @property
    def shown(self) -> str:
        """What an error says of it."""
        return self.url.host or (self.path.name if self.path else "the database in memory")


def find_database(context: RunContext, text: str, field: str = "database_url") -> Database:
    """Return the database that a URL means.

    :raises DatabaseRefused: for no URL, or one that its author may not reach.
    :raises AddressRefused: for a private host, or a password that another one has put in.
    """
    url = read_url(text)
    if url.get_backend_name() == "sqlite":
        return _sqlite_database(context, url, field)
    to = destination(context, address_of(url), field, read=_addresses)
    # A request that keeps the operator's host may still have written the rest.
    said_by_operator = to.word is Word.OPERATOR and context.given(field).word is Word.OPERATOR
    if not said_by_operator:
        _refuse_odd(url)
    refuse_secrets(context, to, {field: url.password})
    address = None if said_by_operator else _checked(to, url)
    return Database(url, address=address, of_request=to.word is Word.REQUEST)


def read_url(text: str) -> URL:
    """Return a URL with the driver that is asked here.

    :raises DatabaseRefused: if it is none.
    """
    if not text.strip():
        raise DatabaseRefused("no database is set: set database_url to an address such as postgresql://user@host/name")
    try:
        url = make_url(text.strip())
        kind = url.get_backend_name()
        port = url.port
    except (ArgumentError, ValueError):
        # The URL may hold a password, so neither it nor the parser's words are shown.
        raise DatabaseRefused("database_url is not a database address, such as postgresql://user@host/name") from None
    driver = _DRIVERS.get(kind, url.drivername)
    return (url if driver == url.drivername else url.set(drivername=driver)).set(port=port)


def address_of(url: URL) -> str:
    """Return scheme, host and port alone, as SQLAlchemy understands them: other parsers may take a URL otherwise."""
    host = url.host or ""
    port = url.port or _PORTS.get(url.get_backend_name(), 0)
    return f"{url.get_backend_name()}://{f'[{host}]' if ':' in host else host}:{port}"


def _addresses(value: Any) -> Iterable[str]:
    try:
        return [address_of(read_url(text_of(value)))]
    except DatabaseRefused:
        return []


def _checked(to: Destination, url: URL) -> str:
    """Return the address to connect to; only an operator may mean a socket, several hosts, or a service by its name."""
    if not url.host:
        raise DatabaseRefused("database_url names no host")
    address = to.checked_address()
    if not url.username:
        # Drivers would take the name of the server's own user.
        raise DatabaseRefused("database_url names no user: write it as in postgresql://user:password@host/name")
    return address


def _refuse_odd(url: URL) -> None:
    kind = url.get_backend_name()
    if kind not in _KINDS:
        raise DatabaseRefused(f"databases of the kind {kind[:40]} are only allowed in flows from the operator's folder")
    odd = sorted(name for name in url.query if name.lower() not in _HARMLESS)
    if odd:
        raise DatabaseRefused(
            f"the parameter {odd[0][:40]} of database_url is only allowed in flows from the operator's folder: it"
            " may access files or other hosts"
        )


def _sqlite_database(context: RunContext, url: URL, field: str) -> Database:
    """Return a SQLite database: in memory, or in a file.

    An upload of the owner, which a request alone does not choose to write; a file of an allowed folder, to read;
    and where the operator says it, any file that is not the app's own.
    """
    name = url.database or ""
    if name in ("", ":memory:"):
        return Database(url)
    if name.startswith("file:") or "\0" in name:
        raise DatabaseRefused("database_url names a SQLite file by its path, such as sqlite:///shop.db")
    word = context.given(field).word
    said_by_operator = word is Word.OPERATOR
    try:
        path = find_file(context, name).path.resolve()
        is_upload = _is_upload(context, path)
    except FileRefused:
        if not said_by_operator:
            raise DatabaseRefused(
                f"the SQLite file {name.rpartition('/')[2][:100]} is neither among your uploads nor in a folder listed"
                " in FLOWRUNNER_DOCUMENT_FOLDERS"
            ) from None
        path, is_upload = Path(name).expanduser().resolve(), False
    if not is_upload and _is_of_app(context, path):
        raise DatabaseRefused("flows cannot query the app's own database")
    if not path.is_file():
        raise DatabaseRefused(f"there is no SQLite file {path.name[:100]}, neither at that path nor among your uploads")
    writable = said_by_operator or (is_upload and word is not Word.REQUEST)
    return Database(url, path, writable=writable, of_operator=said_by_operator and not is_upload)


def _is_upload(context: RunContext, path: Path) -> bool:
    folder = getattr(context.settings, "data_dir", None)
    return folder is not None and path.is_relative_to(Path(folder).resolve() / "files")


def _is_of_app(context: RunContext, path: Path) -> bool:
    """Return whether a file is one in which the app keeps what is its own."""
    folder = getattr(context.settings, "data_dir", None)
    if folder is not None and path.is_relative_to(Path(folder).resolve()):
        return True
    own = getattr(context.settings, "database_url", "") or "sqlite:///flowrunner.db"
    try:
        name = make_url(own).database if own.startswith("sqlite") else None
        return name is not None and path.samefile(Path(folder or ".") / name)
    except (ArgumentError, OSError):
        return False
