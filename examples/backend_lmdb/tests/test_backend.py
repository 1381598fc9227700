"""The whole contract on the backend ``lmdb``."""

from contextlib import contextmanager
from unittest.mock import patch

import lmdb
from flowrunner_lmdb.backend import LmdbMemory, Rows

from flowrunner.testing import MemoryBackendContract


class TestLmdbMemory(MemoryBackendContract):
    def open_backend(self, folder):
        return LmdbMemory(folder / "messages")

    @contextmanager
    def break_writes(self, backend):
        full = lmdb.MapFullError("mdb_put: MDB_MAP_FULL: Environment mapsize limit reached")
        with patch.object(Rows, "put", side_effect=full), patch.object(Rows, "take", side_effect=full):
            yield
