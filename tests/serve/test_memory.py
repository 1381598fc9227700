"""What a server takes of the machine's memory: what it loads, and where its threads allocate."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

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


@pytest.mark.parametrize(("asked", "heaps"), [(None, 1), ("4", 4)], ids=["as we settle it", "as the operator wants it"])
def test_all_threads_allocate_from_one_heap(asked, heaps):
    if not hasattr(__import__("ctypes").CDLL(None), "malloc_info"):
        pytest.skip("this C library has one heap anyway")
    environment = {name: value for name, value in os.environ.items() if name != "MALLOC_ARENA_MAX"}
    if asked:
        environment["MALLOC_ARENA_MAX"] = asked
    said = subprocess.run([sys.executable, "-c", HEAPS], env=environment, capture_output=True, text=True, check=True)
    assert said.stdout.count("<heap nr=") == heaps


def test_a_server_that_keeps_no_secret_does_not_load_what_encrypts(start_server, tmp_path):
    environment = {"FLOWRUNNER_DATA_DIR": str(tmp_path), "FLOWRUNNER_FLOWS_DIR": "examples/flows"}
    environment["FLOWRUNNER_AUTH"] = "none"
    command = [sys.executable, "-m", "gunicorn", "-c", "python:flowrunner.serving", "-b", "127.0.0.1:0", "wsgi:app"]
    server = start_server(command, environment=environment)
    server.run("basic-chat", "hello", session_id="s")
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
    assert len(children) == 2
    for process in (server.pid, *children):
        maps = Path(f"/proc/{process}/maps").read_text()
        assert "_sqlite3" in maps
        assert "cryptography" not in maps
