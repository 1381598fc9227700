"""The vector store ``pgvector``, as a plugin of flowrunner."""

from flowrunner import Setting, hookimpl

SETTINGS = (
    Setting("PGVECTOR_URL", "", "the database, as libpq reads it: postgresql://user:password@host/name", secret=True),
    Setting("PGVECTOR_SCHEMA", "flowrunner", "the schema of its tables, made when it is missing"),
    Setting("PGVECTOR_INDEX", "", "hnsw: search by an index, which is faster and may miss some; default: exactly"),
)


def _open(app, settings):
    # The driver takes a while to import, and few servers search.
    from flowrunner_pgvector.store import PgVectors

    return PgVectors(settings.pgvector_url, settings.pgvector_schema, settings.pgvector_index)


@hookimpl
def register_vector_stores(register):
    register("pgvector", _open, settings=SETTINGS)
