"""The whole contract on the vector store ``local``, and what only it promises."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from flowrunner_retrieval.local_store.matrix import Matrices, Matrix

from flowrunner import PluginFailed, VectorStore
from flowrunner.app import create_app, runner_of
from flowrunner.testing import VectorStoreContract
from flowrunner.testing.vectors.opening import ANN, SHELF, fill, found, make_chunk, query
from tests.vectors.stores import broken_writes, open_file

np = pytest.importorskip("numpy")


class TestLocal(VectorStoreContract):
    def open_store(self, folder: Path) -> VectorStore:
        return open_file(folder)

    def break_writes(self, store):
        return broken_writes(store._engine)


@pytest.fixture
def store(tmp_path):
    store = open_file(tmp_path)
    yield store
    store.close()


def test_what_was_added_is_all_that_is_read_again(store, monkeypatch):
    from flowrunner_retrieval.local_store import store as module

    read = []
    real = module.make_matrix
    monkeypatch.setattr(module, "make_matrix", lambda v, rows, d: read.append(len(rows)) or real(v, rows, d))
    fill(store, 50)
    for _ in range(3):
        found(store, [1, 0, 0, 0], limit=1)
    store.upsert_chunks(ANN, SHELF, [make_chunk(50), make_chunk(51)])
    found(store, [1, 0, 0, 0], limit=1)
    store.delete_chunks(query(ids=("c7",)))
    found(store, [1, 0, 0, 0], limit=1)
    found(store, [1, 0, 0, 0], limit=1)
    assert read == [50, 2, 51]


def test_vectors_that_were_used_least_lately_make_room():
    kept = Matrices(room=100)
    matrix = Matrix(1, np.zeros(2, dtype=np.int64), np.zeros((2, 4), dtype=np.float32))
    assert matrix.size == 48
    for number in (1, 2):
        kept.keep(number, matrix)
    kept.get(1)
    kept.keep(3, matrix)
    assert [kept.get(number) is not None for number in (1, 2, 3)] == [True, False, True]


def test_an_older_matrix_does_not_replace_a_newer_one():
    kept = Matrices(room=1000)
    for version in (2, 1):
        kept.keep(1, Matrix(version, np.zeros(0), np.zeros((0, 4))))
    assert kept.get(1).version == 2


def test_the_store_is_opened_when_it_is_first_wanted(tmp_path):
    runner = runner_of(create_app(data_dir=tmp_path, memory="in-memory"))
    tables = "SELECT name FROM sqlite_master WHERE name LIKE 'flowrunner_chunks'"
    with runner.engine.connect() as connection:
        assert connection.exec_driver_sql(tables).first() is None
    handle = runner.vectors.for_owner("ann")
    handle.upsert(SHELF, [make_chunk(1, text="nul\0 and \ud800")])
    assert [chunk.text for chunk in handle.fetch(SHELF)] == ["nul and ?"]
    assert [hit.chunk.id for hit in handle.search(SHELF, [0, 1, 0, 0])] == ["c1"]
    assert [one.name for one in handle.documents(SHELF)] == ["d1"]
    assert runner.vectors.for_owner("bob").collections() == []
    runner.close()
    with pytest.raises(RuntimeError):
        handle.collections()


def test_without_numpy_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "numpy", None)
    runner = runner_of(create_app(data_dir=tmp_path, memory="in-memory"))
    with pytest.raises(PluginFailed, match=r"vector store local.*flask-flowrunner\[retrieval\]"):
        runner.vectors.for_owner("ann").collections()
    runner.close()


def test_an_unknown_store_is_refused_at_start_up(tmp_path):
    with pytest.raises(PluginFailed, match="No plugin offers the vector store 'qdrnt'; available are: .*local"):
        create_app(data_dir=tmp_path, memory="in-memory", vector_store="qdrnt")


def test_where_nobody_offers_a_store_the_app_starts_all_the_same(tmp_path):
    runner = runner_of(create_app(data_dir=tmp_path, memory="in-memory", plugins_blocked="retrieval"))
    with pytest.raises(PluginFailed, match="No plugin offers the vector store 'local'"):
        runner.vectors.for_owner("ann").collections()
    runner.close()
