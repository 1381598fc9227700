"""What a server takes of the machine's memory: what it loads, and where its threads allocate."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flowrunner.app import create_app, runner_of
from flowrunner.errors import FlowNotFound
from flowrunner.flows import folder
from flowrunner.flows.reading import read_parts
from flowrunner.identity import LOCAL_IDENTITY
from tests.waiting import wait_until

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc, asks glibc")

#: Sixteen threads hold memory of the C library at a time; then glibc is asked how many heaps there are.
HEAPS = """
import ctypes, threading
from flowrunner.site.allocator import settle_allocator

settle_allocator()
all_there = threading.Barrier(16)

def hold():
    held = [bytes(5000) for _ in range(100)]
    all_there.wait()
    del held

threads = [threading.Thread(target=hold) for _ in range(16)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
file = ctypes.c_void_p(libc.fopen(b"/dev/stdout", b"w"))
libc.malloc_info(0, file)
libc.fclose(file)
"""


#: Half of what was allocated is free again; then it is counted how much of what comes next lies between the rest.
HOLES = """
import ctypes, sys
from flowrunner.site.allocator import fill_holes

end_of_heap = ctypes.CDLL(None).sbrk
end_of_heap.restype = ctypes.c_void_p
held = [bytes(3000) for _ in range(1000)]
del held[::2]
end = end_of_heap(0)
taken = fill_holes() if sys.argv[1] == "filled" else 0
later = [bytes(3000) for _ in range(300)]
print(taken, sum(id(found) < end for found in later))
"""

#: What a server has loaded, and holds, when it forks its workers.
READY = """
import gc, json, os, sys, threading
import gunicorn.app.wsgiapp, gunicorn.arbiter
import flowrunner.serving, wsgi
flowrunner.serving.when_ready(None)
files = [os.path.realpath(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd")]
print(json.dumps({
    "modules": list(sys.modules), "files": files, "threads": threading.active_count(),
    "frozen": gc.get_freeze_count(), "seen": len(gc.get_objects()), "threshold": gc.get_threshold()[0],
}))
"""


@pytest.mark.parametrize(("asked", "heaps"), [(None, 1), ("4", 4)], ids=["as we settle it", "as the operator wants it"])
def test_all_threads_allocate_from_one_heap(asked, heaps):
    if not hasattr(__import__("ctypes").CDLL(None), "malloc_info"):
        pytest.skip("this C library has one heap anyway")
    environment = {name: value for name, value in os.environ.items() if name != "MALLOC_ARENA_MAX"}
    if asked:
        environment["MALLOC_ARENA_MAX"] = asked
    said = subprocess.run([sys.executable, "-c", HEAPS], env=environment, capture_output=True, text=True, check=True)
    assert said.stdout.count("<heap nr=") == heaps


def test_what_comes_after_the_holes_are_filled_lies_behind_them():
    if not hasattr(__import__("ctypes").CDLL(None), "malloc_trim"):
        pytest.skip("only for glibc")
    (_, between), (taken, after) = (map(int, _python(HOLES, how).split()) for how in ("as it is", "filled"))
    assert between > 250
    assert taken > 500 * 3000
    assert after < 10


@pytest.mark.parametrize("package", ["alembic", "apispec", "cryptography", "sqlalchemy.dialects.mysql"])
def test_a_server_does_not_load_what_few_need(ready, package):
    assert not [name for name in ready["modules"] if name == package or name.startswith(f"{package}.")]


def test_nothing_is_open_when_workers_are_forked(ready):
    assert ready["threads"] == 1
    assert not [name for name in ready["files"] if "ready" in name or "socket:" in name]


def test_what_is_loaded_is_out_of_the_collectors_sight(ready):
    assert ready["seen"] < 1_000 < 50_000 < ready["frozen"]
    assert ready["threshold"] == 5_000


@pytest.fixture(scope="module")
def ready(tmp_path_factory):
    environment = {"FLOWRUNNER_DATA_DIR": str(tmp_path_factory.mktemp("ready")), "FLOWRUNNER_AUTH": "none"}
    return json.loads(_python(READY, environment=environment))


def _python(code, *arguments, environment=None):
    """Run code in a process of its own, and return what it prints."""
    command = [sys.executable, "-c", code, *arguments]
    env = {**os.environ, **(environment or {})}
    return subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout


def test_a_server_that_keeps_no_secret_does_not_load_what_encrypts(start_server, tmp_path):
    environment = {"FLOWRUNNER_DATA_DIR": str(tmp_path), "FLOWRUNNER_FLOWS_DIR": "examples/flows"}
    environment["FLOWRUNNER_AUTH"] = "none"
    command = [sys.executable, "-m", "gunicorn", "-c", "python:flowrunner.serving", "-b", "127.0.0.1:0", "wsgi:app"]
    server = start_server(command, environment=environment)
    server.run("basic-chat", "hello", session_id="s")
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children")
    # One may answer before the other has begun.
    assert wait_until(lambda: len(children.read_text().split()) == 2, 30)
    for process in (server.pid, *children.read_text().split()):
        maps = Path(f"/proc/{process}/maps").read_text()
        assert "_sqlite3" in maps
        assert "cryptography" not in maps


def chat(name):
    return json.dumps(
        {
            "name": name,
            "components": {"in": {"type": "ChatInput"}, "out": {"type": "ChatOutput"}},
            "edges": ["in.message -> out.input_value"],
        }
    )


def test_flows_that_a_master_has_read_are_not_read_again_unless_they_change(tmp_path, monkeypatch, caplog):
    flows = tmp_path / "flows"
    flows.mkdir()
    long_ago = time.time() - 3600
    for name in ("kept", "changed", "removed", "damaged"):
        (flows / f"{name}.json").write_text(chat(name))
    (flows / "wrong.json").write_text("{")
    for file in flows.iterdir():
        os.utime(file, (long_ago, long_ago))
    runner = runner_of(create_app(data_dir=tmp_path / "data", flows_dir=[flows], auth="none"))
    runner.check()
    read = []

    def reading(data, **options):
        read.append(options["name_hint"])
        return read_parts(data, **options)

    monkeypatch.setattr(folder, "read_parts", reading)
    (flows / "changed.json").write_text(chat("another name"))
    (flows / "removed.json").unlink()
    (flows / "damaged.json").write_text("{")
    (flows / "new.json").write_text(chat("new"))
    runner.open()
    assert runner.find("new", LOCAL_IDENTITY).name == "new"
    assert set(read) == {"changed", "damaged", "new"}
    assert runner.find("kept", LOCAL_IDENTITY).name == "kept"
    assert runner.find("changed", LOCAL_IDENTITY).name == "another name"
    assert runner.find("damaged", LOCAL_IDENTITY).name == "damaged", "what was read before stays in use"
    with pytest.raises(FlowNotFound):
        runner.find("removed", LOCAL_IDENTITY)
    assert runner.run("kept", "hello", session_id="s").session_id == "s"
    assert "kept" not in read and "wrong" not in read
    assert sum(f"{flows / 'wrong.json'}" in message for message in caplog.messages) == 1
    runner.close()
