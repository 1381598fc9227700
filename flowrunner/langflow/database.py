"""Read the database of a Langflow server, SQLite or PostgreSQL, without changing it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, inspect, make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from flowrunner.errors import BadRequest
from flowrunner.langflow.secret_values import SecretValues
from flowrunner.langflow.source import (
    FoundFlow,
    FoundKey,
    FoundMessage,
    FoundVariable,
    read_id,
    read_json,
    read_message,
    read_moment,
)

_AT_ONCE: Final = 1000
#: Members of a flow that are kept as they are, besides its graph.
_MEMBERS: Final = (
    "description",
    "icon",
    "icon_bg_color",
    "gradient",
    "endpoint_name",
    "action_name",
    "action_description",
    "access_type",
    "flow_type",
)
_FLAGS: Final = ("is_component", "locked", "mcp_enabled", "a2a_enabled")


class LangflowDatabase:
    """What a database holds, of any release 1.x: columns that one lacks are as if nothing stood in them.

    Everything is read in one transaction, so a server may go on writing.

    :param place: a file, or a database URL.
    :raises BadRequest: if it cannot be opened, or is not a database of Langflow.
    """

    def __init__(self, place: str, secrets: SecretValues) -> None:
        self.notes: list[str] = []
        self._secrets = secrets
        self._engine = _engine(place)
        try:
            self._connection: Connection = self._engine.connect()
            if self._engine.dialect.name == "postgresql":
                self._connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            else:
                self._connection.exec_driver_sql("BEGIN")
            self._tables = set(inspect(self._connection).get_table_names())
        except (SQLAlchemyError, DBAPIError) as error:
            self._engine.dispose()
            reason = (str(getattr(error, "orig", error)).splitlines() or [type(error).__name__])[0]
            raise BadRequest(f"The Langflow database cannot be read: {reason}.") from error
        if not {"flow", "user"} <= self._tables:
            self.close()
            raise BadRequest("This is not a Langflow database: it has no tables flow and user.")
        self._users = {read_id(row["id"]): row for row in self._rows("user")}
        self._projects = {read_id(row["id"]): row.get("name") for row in self._rows("folder")}
        self._owners: dict[str | None, str] = {}

    def users(self) -> list[str]:
        """Return the names of all users, the oldest first."""
        rows = sorted(self._users.values(), key=lambda row: str(row.get("create_at")))
        return [str(row["username"]) for row in rows]

    def flows(self) -> Iterator[FoundFlow]:
        """Yield the flows of users; the examples that come with Langflow belong to nobody and are left out."""
        examples = 0
        for row in self._rows("flow"):
            user = self._name(row.get("user_id"))
            if not user:
                examples += 1
                continue
            yield FoundFlow(user, self._projects.get(read_id(row.get("folder_id"))), _flow_values(row))
        if examples:
            self.notes.append(f"{examples} flows belong to no user, like Langflow's own examples; they are skipped.")

    def count_messages(self) -> int:
        """Return how many messages there are."""
        if "message" not in self._tables:
            return 0
        return int(self._connection.exec_driver_sql('SELECT count(*) FROM "message"').scalar_one())

    def messages(self) -> Iterator[FoundMessage]:
        """Yield all messages in order of time, equal moments as they were stored."""
        if "message" not in self._tables:
            self.notes.append(
                "This release stores messages in a separate file (monitor.duckdb), so the database has none: upgrade"
                " Langflow to 1.0.19 or later once, or import from the running server by its address."
            )
            return
        flows = {read_id(row["id"]): self._name(row.get("user_id")) for row in self._rows("flow", ("id", "user_id"))}
        unread = 0
        then = "rowid" if self._engine.dialect.name == "sqlite" else "ctid"
        for row in self._rows("message", order=f"timestamp, {then}"):
            try:
                message = read_message(row)
            except (ValueError, TypeError, OverflowError):
                unread += 1
                continue
            yield FoundMessage(self._name(row.get("user_id")) or flows.get(message.flow_id, ""), message)
        if unread:
            self.notes.append(f"{unread} messages have no readable id or timestamp; they are skipped.")

    def variables(self) -> Iterator[FoundVariable]:
        """Yield the variables of all users."""
        for row in self._rows("variable"):
            value = row.get("value")
            fields = read_json(row.get("default_fields"))
            yield FoundVariable(
                user=self._name(row.get("user_id")),
                name=str(row["name"]),
                type=_variable_type(row.get("type")),
                value=self._secrets.open(value) if isinstance(value, str) and value else None,
                default_fields=tuple(map(str, fields)) if isinstance(fields, list) else (),
            )

    def api_keys(self) -> Iterator[FoundKey]:
        """Yield the API keys that are neither off nor expired."""
        for row in self._rows("apikey"):
            expires = row.get("expires_at")
            on = row.get("is_active")
            if (on is None or on) and (not expires or read_moment(expires) > datetime.now(timezone.utc)):
                yield FoundKey(self._name(row.get("user_id")), str(row.get("name") or ""), str(read_id(row["id"])))

    def close(self) -> None:
        """Close the connection."""
        if hasattr(self, "_connection"):
            self._connection.close()
        self._engine.dispose()

    def _name(self, user_id: Any) -> str:
        row = self._users.get(read_id(user_id))
        return "" if row is None else str(row["username"])

    def _rows(self, table: str, columns: tuple[str, ...] = (), *, order: str = "") -> Iterator[Mapping[str, Any]]:
        """Yield the rows of a table as the driver gives them; none where a release lacks the table."""
        if table not in self._tables:
            return
        shown = ", ".join(columns) or "*"
        asked = f'SELECT {shown} FROM "{table}"' + (f" ORDER BY {order}" if order else "")  # noqa: S608 - names of ours
        result = self._connection.execution_options(stream_results=True).exec_driver_sql(asked)
        for rows in result.mappings().partitions(_AT_ONCE):
            for row in rows:
                yield {str(name): value for name, value in row.items()}


def _engine(place: str) -> Engine:
    if "://" not in place:
        path = Path(place).expanduser().absolute()
        if not path.is_file():
            raise BadRequest(f"There is no file {path}.")
        address = f"{path.as_uri()}?mode=ro"
        return create_engine("sqlite://", creator=lambda: sqlite3.connect(address, uri=True), poolclass=NullPool)
    try:
        url = make_url(place)
    except Exception as error:
        raise BadRequest("The name of the Langflow database is not a database URL.") from error
    if url.get_backend_name() == "sqlite":
        return _engine(str(url.database))
    if url.drivername.startswith("postgres"):
        url = url.set(drivername="postgresql+psycopg")
    try:
        return create_engine(url)
    except (ImportError, SQLAlchemyError) as error:
        raise BadRequest(
            "A database of Langflow is a SQLite file or PostgreSQL, and this one has no driver here; PostgreSQL's comes"
            " with pip install 'flask-flowrunner[postgres]'."
        ) from error


def _flow_values(row: Mapping[str, Any]) -> dict[str, Any]:
    values = {name: row[name] for name in _MEMBERS if row.get(name) is not None}
    values.update({name: bool(row[name]) for name in _FLAGS if row.get(name) is not None})
    values.update(id=read_id(row["id"]), name=str(row["name"]), data=read_json(row.get("data")))
    for name in ("tags", "a2a_card_overrides"):
        if (found := read_json(row.get(name))) is not None:
            values[name] = found
    if (folder := read_id(row.get("folder_id"))) is not None:
        values["folder_id"] = folder
    return values


def _variable_type(value: Any) -> str:
    return "Credential" if str(value or "").lower() == "credential" else "Generic"
