"""A memory per backend, bound to one owner."""

from __future__ import annotations

import pytest
from flowrunner_file_json.backend import FileJson
from flowrunner_in_memory import InMemory
from sqlalchemy import URL

from flowrunner.memory import Memory
from flowrunner.store.engine import make_engine
from tests.memory.closing import ClosingMemory

BACKENDS = ("in-memory", "file-json", "sqlite")


def open_backend(name, folder):
    """Open a backend on a folder."""
    if name == "sqlite":
        return ClosingMemory(make_engine(URL.create("sqlite", database=str(folder / "messages.db"))))
    return FileJson(folder / "messages") if name == "file-json" else InMemory()


@pytest.fixture(params=BACKENDS)
def store(request, tmp_path):
    """The memory of everybody, on each backend."""
    backend = open_backend(request.param, tmp_path)
    yield Memory(backend, backend=backend, name=request.param)
    backend.close()


@pytest.fixture
def memory(store):
    """The messages of Ann."""
    return store.for_owner("ann")
