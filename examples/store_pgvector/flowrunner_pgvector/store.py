"""Vectors in PostgreSQL with the extension pgvector, for any number of hosts."""

import json
from array import array
from contextlib import contextmanager

import psycopg
from psycopg_pool import ConnectionPool

from flowrunner import (
    Chunk,
    ChunkInvalid,
    CollectionSummary,
    DocumentSummary,
    Hit,
    SettingsInvalid,
    VectorStore,
    VectorStoreFailed,
)
from flowrunner_pgvector.rows import COLUMNS, direction_of, rows_of, where_of
from flowrunner_pgvector.tables import MOST_INDEXED, MOST_KEPT, make_index, make_tables, search_path

_UPSERT_COLLECTION = (
    "INSERT INTO collections (owner, name, dimensions) VALUES (%s, %s, %s)"
    " ON CONFLICT (owner, name) DO UPDATE SET dimensions = collections.dimensions RETURNING id, dimensions"
)
_UPSERT_CHUNK = (
    "INSERT INTO chunks (collection, id, document, text, metadata, members, dimensions, given, direction)"
    " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (collection, id) DO UPDATE SET"
    " document = excluded.document, text = excluded.text, metadata = excluded.metadata, members = excluded.members,"
    " given = excluded.given, direction = excluded.direction"
)


class PgVectors(VectorStore):
    shared = durable = True

    def __init__(self, url, schema="flowrunner", index=""):
        if not url:
            raise SettingsInvalid("FLOWRUNNER_PGVECTOR_URL is missing: the vector store pgvector needs a database.")
        if index not in ("", "hnsw"):
            raise SettingsInvalid(f"FLOWRUNNER_PGVECTOR_INDEX is {index!r}: it may be hnsw, or nothing.")
        self.exact = not index
        path = search_path(schema)

        def configure(connection):
            connection.execute("SELECT set_config('search_path', %s, false)", (path,))
            if index:
                # A filter is applied to what the index finds: it shall look on until enough is left.
                connection.execute("SET hnsw.iterative_scan = strict_order")
            connection.commit()

        # The first connection is made without the pool, whose own errors do not say why there is none.
        with _failing("The vector store pgvector cannot be opened"), psycopg.connect(url, connect_timeout=10) as first:
            first.execute("SELECT set_config('search_path', %s, false)", (path,))
            make_tables(first, schema)
        self._pool = ConnectionPool(
            url,
            min_size=0,
            max_size=8,
            timeout=30,
            configure=configure,
            check=ConnectionPool.check_connection,
            open=True,
        )

    def upsert_chunks(self, owner, collection, chunks):
        if not chunks:
            return 0
        rows, dimensions = rows_of(chunks)
        if dimensions > MOST_KEPT:
            raise ChunkInvalid(f"pgvector keeps vectors of up to {MOST_KEPT} dimensions; these have {dimensions}.")
        with self._writing() as connection:
            # It locks the collection: what is stored together stands together, in the order of the transactions.
            place, had = connection.execute(_UPSERT_COLLECTION, (owner, collection, dimensions)).fetchone()
            if had != dimensions:
                raise ChunkInvalid(
                    f"The collection {collection[:100]} has vectors of {had} dimensions, but these have {dimensions}:"
                    " they come from another embedding model; use another collection, or delete this one first."
                )
            if not self.exact and dimensions <= MOST_INDEXED:
                make_index(connection, dimensions)
            connection.cursor().executemany(_UPSERT_CHUNK, [(place, *row) for row in rows])
        return len(chunks)

    def fetch_chunks(self, query):
        where, values = where_of(query)
        with self._reading() as connection:
            found = connection.execute(
                f"SELECT {COLUMNS} FROM chunks WHERE {where} ORDER BY seq LIMIT %s OFFSET %s",
                (*values, _limit(query), query.offset),
            ).fetchall()
        return [_chunk(row) for row in found]

    def search_chunks(self, query, vector):
        with self._reading() as connection:
            found = connection.execute(
                "SELECT id, dimensions FROM collections WHERE owner = %s AND name = %s", (query.owner, query.collection)
            ).fetchone()
            if found is None:
                return []
            place, dimensions = found
            asked = direction_of(vector, dimensions)
            where, values = where_of(query, place)
            compared = "direction"
            if not self.exact and dimensions <= MOST_INDEXED:
                # Word for word what the index is made of, or it is not used.
                compared = f"direction::vector({dimensions})"
                where += f" AND dimensions = {dimensions}"
                connection.execute("SELECT set_config('hnsw.ef_search', %s, true)", (str(_looked_at(query)),))
            rows = connection.execute(
                f"SELECT {COLUMNS}, {compared} <#> %s::vector AS away FROM chunks WHERE {where}"
                " ORDER BY away, seq LIMIT %s OFFSET %s",
                (asked, *values, _limit(query), query.offset),
            ).fetchall()
        return [Hit(_chunk(row[:-1]), min(1.0, max(-1.0, -row[-1]))) for row in rows]

    def delete_chunks(self, query):
        where, values = where_of(query)
        with self._writing() as connection:
            found = connection.execute(
                "SELECT id FROM collections WHERE owner = %s AND name = %s FOR UPDATE", (query.owner, query.collection)
            ).fetchone()
            if found is None:
                return 0
            count = connection.execute(
                "DELETE FROM chunks WHERE seq IN"
                f" (SELECT seq FROM chunks WHERE {where} ORDER BY seq LIMIT %s OFFSET %s)",
                (*values, _limit(query), query.offset),
            ).rowcount
            connection.execute(
                "DELETE FROM collections WHERE id = %s AND NOT EXISTS (SELECT 1 FROM chunks WHERE collection = %s)",
                (found[0], found[0]),
            )
        return count

    def list_collections(self, owner):
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT name, count(*), count(DISTINCT document), collections.dimensions"
                " FROM collections JOIN chunks ON chunks.collection = collections.id WHERE owner = %s"
                ' GROUP BY collections.id ORDER BY name COLLATE "C"',
                (owner,),
            ).fetchall()
        return [CollectionSummary(*row) for row in rows]

    def list_documents(self, owner, collection):
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT document, count(*) FROM collections JOIN chunks ON chunks.collection = collections.id"
                " WHERE owner = %s AND name = %s GROUP BY document ORDER BY min(seq)",
                (owner, collection),
            ).fetchall()
        return [DocumentSummary(*row) for row in rows]

    def close(self):
        self._pool.close()
        return True

    @contextmanager
    def _writing(self):
        with _failing("The vector store could not be written."), self._pool.connection() as connection:
            yield connection

    @contextmanager
    def _reading(self):
        with _failing("The vector store could not be read."), self._pool.connection() as connection:
            # One state of the database for all questions of a call.
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            yield connection


@contextmanager
def _failing(what):
    try:
        yield
    except psycopg.Error as error:
        raise VectorStoreFailed(what) from error


def _limit(query):
    return None if query.limit is None else max(0, query.limit)


def _looked_at(query):
    """Return how many of the nearest the index looks at: the more, the fewer it misses."""
    return 1000 if query.limit is None else min(1000, max(100, 2 * (query.offset + query.limit)))


def _chunk(row):
    name, text, document, metadata, vector = row
    return Chunk(name, text, array("f", vector), document, json.loads(metadata))
