"""The tables, made when the store is opened, and an index for each number of dimensions."""

from psycopg import sql

from flowrunner import SettingsInvalid

#: The most dimensions that pgvector keeps in a column, and that an index of it takes.
MOST_KEPT, MOST_INDEXED = 16_000, 2_000

#: ``given`` is a vector whose length is not 1, ``direction`` the same with that length, which is compared: the sums of
#: pgvector are in single precision, where the squares of large numbers overflow. ``members`` has a mark of each member
#: of the metadata.
_TABLES = """
CREATE TABLE IF NOT EXISTS collections (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    owner text NOT NULL,
    name text NOT NULL,
    dimensions integer NOT NULL,
    UNIQUE (owner, name)
);
CREATE TABLE IF NOT EXISTS chunks (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    collection bigint NOT NULL REFERENCES collections,
    id text NOT NULL,
    document text NOT NULL,
    text text NOT NULL,
    metadata text NOT NULL,
    members text[] NOT NULL,
    dimensions integer NOT NULL,
    given vector,
    direction vector NOT NULL,
    UNIQUE (collection, id)
);
CREATE INDEX IF NOT EXISTS chunks_by_document ON chunks (collection, document);
CREATE INDEX IF NOT EXISTS chunks_by_members ON chunks USING gin (members);
"""


def make_tables(connection, schema):
    """Make what is missing; processes that start together wait for each other."""
    connection.execute("SELECT pg_advisory_xact_lock(hashtext('flowrunner pgvector'))")
    if connection.execute("SELECT 1 FROM pg_extension WHERE extname = 'vector'").fetchone() is None:
        connection.execute("CREATE EXTENSION vector")
    if connection.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", (schema,)).fetchone() is None:
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
    connection.execute(_TABLES)


def make_index(connection, dimensions):
    """Make the index of all vectors of so many dimensions, if it is missing."""
    name = f"chunks_{int(dimensions)}"
    found = connection.execute("SELECT to_regclass(%s)", (name,)).fetchone()
    if found[0] is None:
        # Those who write wait while it is made, and that is once.
        connection.execute(
            f"CREATE INDEX IF NOT EXISTS {name} ON chunks"
            f" USING hnsw ((direction::vector({int(dimensions)})) vector_ip_ops) WHERE dimensions = {int(dimensions)}"
        )


def search_path(schema):
    """Return where names of tables and types are looked up.

    :raises SettingsInvalid: if the schema has no name.
    """
    if not schema or "\0" in schema:
        raise SettingsInvalid("FLOWRUNNER_PGVECTOR_SCHEMA names no schema.")
    quoted = schema.replace('"', '""')
    return f'"{quoted}", public'
