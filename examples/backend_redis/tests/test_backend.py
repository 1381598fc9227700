"""The whole contract on the backend ``redis``, against a Redis that the tests start."""

import os
from contextlib import contextmanager
from hashlib import sha256
from unittest.mock import patch

import pytest
import redis
from flowrunner_redis.backend import RedisMemory
from redis_server import PROGRAM, RedisServer

from flowrunner import MemoryFailed
from flowrunner.testing import MemoryBackendContract
from flowrunner.testing.memory.samples import append_texts

if PROGRAM is None:
    pytest.skip("redis-server is not installed (Debian: apt install redis-server)", allow_module_level=True)

#: Processes that the kit starts find the server by the environment.
VARIABLE = "FLOWRUNNER_TEST_REDIS_URL"
#: Long enough that a slow machine renews in time.
LEASE = 2.0


@pytest.fixture(scope="module")
def server():
    server = TestRedisMemory.server = RedisServer()
    os.environ[VARIABLE] = server.url
    yield server
    del os.environ[VARIABLE]
    server.stop()


def open_at(folder):
    return RedisMemory(os.environ[VARIABLE], sha256(str(folder).encode()).hexdigest(), LEASE)


class TestRedisMemory(MemoryBackendContract):
    lock_lease = LEASE

    def open_backend(self, folder):
        return open_at(folder)

    def crash_store(self, folder):
        self.server.kill()
        self.server.start()

    def clear_store(self, folder):
        with redis.Redis.from_url(os.environ[VARIABLE]) as client:
            client.flushall()

    @contextmanager
    def break_writes(self, backend):
        full = redis.OutOfMemoryError("command not allowed when used memory > 'maxmemory'")
        with patch.object(backend, "_append", side_effect=full), patch.object(backend, "_replace", side_effect=full):
            yield

    @pytest.fixture
    def folder(self, tmp_path, server):
        return tmp_path


@pytest.fixture
def memory(server, tmp_path):
    backend = open_at(tmp_path)
    yield backend
    backend.close()


def test_a_redis_without_a_file_is_warned_of(caplog):
    forgetful = RedisServer("--appendonly", "no")
    RedisMemory(forgetful.url).close()
    assert "no append-only file" in caplog.text
    forgetful.stop()
    with pytest.raises(MemoryFailed, match="Redis failed"):
        RedisMemory(forgetful.url)


def test_a_lock_of_a_redis_that_is_gone_is_a_failure_of_the_store(memory, server):
    with memory.session_lock("ann", "talk", 0) as got:
        assert got
        server.kill()
        with pytest.raises(MemoryFailed), memory.session_lock("ann", "other", 0):
            pytest.fail("there is no Redis that could have given a lock")
    server.start()
    append_texts(memory, "goes on")


def test_who_lost_his_lease_is_told_in_the_log(memory, server, caplog):
    with redis.Redis.from_url(server.url) as client, memory.session_lock("ann", "talk", 0):
        client.delete(*client.keys("*:lock:*"))
        with memory.session_lock("ann", "talk", 30) as got:
            assert got
            with memory.session_lock("ann", "talk", 3 * LEASE) as third:
                assert not third
    assert "could not be renewed" in caplog.text
