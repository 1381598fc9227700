"""Schema versions: create fresh tables, refuse outdated ones, upgrade on demand."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Column, Connection, Engine, MetaData, PrimaryKeyConstraint, String, Table, inspect
from sqlalchemy.schema import CreateIndex, CreateTable, ExecutableDDLElement

from flowrunner.errors import SchemaOutdated
from flowrunner.store.engine import go_alone, reading, writing
from flowrunner.store.postgres_timeouts import unbounded
from flowrunner.store.write_turn import was_written

logger = logging.getLogger("flowrunner")

_PREFIX: Final = "flowrunner_"
_EMPTIED: Final = (
    "The database file %s was in use before and has lost its tables: they are made anew, and it begins empty. If that"
    " was not wanted, stop the server and restore a backup (flowrunner restore)."
)


@dataclass(frozen=True, slots=True)
class DatabaseSchema:
    """A set of tables and its Alembic migrations.

    ``migrations`` is a folder of Alembic scripts in a package, named ``<revision>_<words>.py``; ``env.py`` and
    ``alembic.ini`` are not needed. ``head`` is the newest revision. ``version_table`` belongs to this schema, so the
    host's ``alembic_version`` is never changed.
    """

    name: str
    metadata: MetaData
    migrations: Path
    head: str
    version_table: str

    def ensure(self, engine: Engine) -> bool:
        """Create the tables in a fresh database; return whether they were created. Safe in several processes at once.

        :raises SchemaOutdated: if the database has an older, newer or incomplete schema, naming the remedy.
        """
        found = self.current(engine)
        if found is None:
            used = was_written(engine)
            with writing(engine) as connection:
                go_alone(connection, self.version_table)
                found = self._version(connection)
                if found is None:
                    there = self._refuse_parts(connection)
                    self._create(connection)
                    connection.exec_driver_sql(f"INSERT INTO {self.version_table} VALUES ('{self.head}')")  # noqa: S608
                    if used and not any(name.startswith(_PREFIX) for name in there):
                        logger.warning(_EMPTIED, engine.url.database)
                    return True
        if found != self.head:
            raise SchemaOutdated(self.refusal(found))
        return False

    def _create(self, connection: Connection) -> None:
        if connection.dialect.name == "sqlite":
            for statement in _sqlite_statements(self):
                connection.exec_driver_sql(statement)
            return
        if connection.dialect.name == "postgresql":
            _leave_out_rows(self.metadata)
        self.metadata.create_all(connection)
        self.versions().create(connection, checkfirst=True)

    def current(self, engine: Engine) -> str | None:
        """Return the revision of the database, or None if it has none of these tables."""
        with reading(engine) as connection:
            return self._version(connection)

    def upgrade(self, engine: Engine) -> str | None:
        """Upgrade the database to the newest revision, in one transaction.

        :returns: the previous revision; None for a fresh database.
        :raises SchemaOutdated: if the database is newer than this program.
        """
        with unbounded(), writing(engine) as connection:
            go_alone(connection, self.version_table)
            found = self._version(connection)
            if found == self.head:
                return found
            if found is not None and found not in self.revisions():
                raise SchemaOutdated(self.refusal(found))
            self._migrate(connection)
            return found

    def revisions(self) -> tuple[str, ...]:
        """Return the known revisions, by name."""
        return tuple(sorted(path.name.split("_")[0] for path in self.migrations.glob("[0-9]*_*.py")))

    def _migrate(self, connection: Connection) -> None:
        # Alembic is slow to import and needed only here.
        from alembic.config import Config
        from alembic.runtime.environment import EnvironmentContext
        from alembic.script import ScriptDirectory

        scripts = ScriptDirectory(str(self.migrations), version_locations=[str(self.migrations)])

        def steps(revision: Any, context: Any) -> Any:
            return scripts._upgrade_revs(self.head, revision)

        with EnvironmentContext(Config(), scripts, fn=steps) as environment:
            environment.configure(
                connection=connection,
                target_metadata=self.metadata,
                version_table=self.version_table,
                render_as_batch=connection.dialect.name == "sqlite",
            )
            environment.run_migrations()

    def _version(self, connection: Connection) -> str | None:
        if not self._has_table(connection):
            return None
        # As text, since it runs at every start, and compiling a statement takes longer than executing it.
        found = connection.exec_driver_sql(f"SELECT version_num FROM {self.version_table}").scalar()  # noqa: S608
        return str(found) if found is not None else None

    def _has_table(self, connection: Connection) -> bool:
        if connection.dialect.name != "sqlite":
            return inspect(connection).has_table(self.version_table)
        asked = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = ?"
        return bool(connection.exec_driver_sql(asked, (self.version_table,)).scalar())

    def _refuse_parts(self, connection: Connection) -> list[str]:
        """Refuse a database with some tables but without their version, since they are created together.

        :returns: the names of the existing tables.
        """
        if connection.dialect.name == "sqlite":
            asked = "SELECT name FROM sqlite_master WHERE type = 'table'"
            there = [str(row[0]) for row in connection.exec_driver_sql(asked)]
        else:
            there = inspect(connection).get_table_names()
        ours = [name for name in there if name in self.metadata.tables]
        if ours:
            raise SchemaOutdated(
                f"The database of {self.name} has the table {ours[0]} and no version of its tables"
                f" ({self.version_table}): it lost a part, or another program made that table. Restore a backup"
                " (flowrunner restore), or give it a database of its own."
            )
        return there

    def versions(self) -> Table:
        """Return the version table, in the form that Alembic creates, which uses it for upgrades."""
        return Table(
            self.version_table,
            MetaData(),
            Column("version_num", String(32), nullable=False),
            PrimaryKeyConstraint("version_num", name=f"{self.version_table}_pkc"),
        )

    def refusal(self, found: str) -> str:
        """Return the message for a wrong revision, with the remedy."""
        what = f"The database of {self.name} has schema version {found}, but this program needs {self.head}."
        if found in self.revisions():
            return f"{what} Make a copy of it, then run: flowrunner db upgrade"
        return f"{what} It was written by a newer version: install that version, or restore an older copy."


@cache
def _sqlite_statements(schema: DatabaseSchema) -> tuple[str, ...]:
    """Return the statements that create the tables on SQLite, compiled once per process."""
    from sqlalchemy.dialects import sqlite

    made: list[ExecutableDDLElement] = []
    for table in (*schema.metadata.sorted_tables, schema.versions()):
        made.append(CreateTable(table, if_not_exists=True))
        made += [
            CreateIndex(index, if_not_exists=True) for index in sorted(table.indexes, key=lambda one: str(one.name))
        ]
    dialect = sqlite.dialect()
    return tuple(str(statement.compile(dialect=dialect)) for statement in made)


def _leave_out_rows(metadata: MetaData) -> None:
    """Make partial indexes exclude the same rows on PostgreSQL as on SQLite.

    Declared in the tables, this would load the PostgreSQL dialect (2 MB) into servers that do not use it.
    """
    for table in metadata.tables.values():
        for index in table.indexes:
            where = index.dialect_options["sqlite"]["where"]
            if where is not None:
                index.dialect_options["postgresql"]["where"] = where
