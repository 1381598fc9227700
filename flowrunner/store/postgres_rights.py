"""The privileges that a PostgreSQL role needs on the tables of a schema."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sqlalchemy import Connection, Engine, text

from flowrunner.errors import SettingsInvalid
from flowrunner.store.engine import reading

#: What to do.
GRANTS: Final = (
    "grant it SELECT, INSERT, UPDATE and DELETE on the tables that begin with flowrunner_, and USAGE on their sequences"
)

# The order in which conditions are looked at is the database's: a function that fails for a table stands behind CASE.
_MISSING: Final = text(
    "SELECT wanted || ' on ' || relname FROM pg_class, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS wanted"
    " WHERE relkind IN ('r', 'p') AND relname = ANY(:names) AND pg_table_is_visible(oid)"
    " AND NOT has_table_privilege(oid, wanted)"
    " UNION ALL SELECT 'USAGE on ' || numbers.relname FROM pg_class AS numbers"
    " JOIN pg_depend ON pg_depend.objid = numbers.oid AND pg_depend.deptype = 'a'"
    " JOIN pg_class AS owning ON owning.oid = pg_depend.refobjid"
    " WHERE owning.relname = ANY(:names) AND pg_table_is_visible(owning.oid)"
    " AND CASE WHEN numbers.relkind = 'S' THEN NOT has_sequence_privilege(numbers.oid, 'USAGE, UPDATE') ELSE false END"
    " ORDER BY 1"
)


def missing_rights(connection: Connection, tables: Iterable[str]) -> str:
    """Return a sentence about a privilege that the role of a connection lacks; blank if it has all, or on SQLite."""
    if connection.dialect.name != "postgresql":
        return ""
    missing = list(connection.execute(_MISSING, {"names": list(tables)}).scalars())
    if not missing:
        return ""
    role = connection.exec_driver_sql("SELECT current_user").scalar()
    more = f" and {len(missing) - 1} other privileges" if len(missing) > 1 else ""
    return f"the role {role} lacks {missing[0]}{more}"


def refuse_missing_rights(engine: Engine, tables: Iterable[str]) -> None:
    """Refuse a role that could not write everything that the server writes; commands that only read need less.

    :raises SettingsInvalid: naming the role and what it lacks.
    """
    with reading(engine) as connection:
        said = missing_rights(connection, tables)
    if said:
        raise SettingsInvalid(f"The database {engine.url.database} cannot be used: {said}; {GRANTS}.")
