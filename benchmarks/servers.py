"""Starting gunicorn for a benchmark, and reading what its processes cost."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return made.getsockname()[1]


class Server:
    """A running gunicorn."""

    def __init__(self, process: subprocess.Popen, port: int) -> None:
        self.process = process
        self.port = port

    def pids(self) -> list[int]:
        """Return the ids of the master and its workers."""
        found, todo = [], [self.process.pid]
        while todo:
            pid = todo.pop()
            found.append(pid)
            with contextlib.suppress(OSError):
                for task in Path(f"/proc/{pid}/task").iterdir():
                    todo += [int(word) for word in (task / "children").read_text().split()]
        return found

    def cpu_seconds(self) -> float:
        """Return the CPU time of all its processes, user and system, by their clocks.

        /proc/PID/stat counts in ticks of 10 ms, and a server that sleeps between requests is
        misjudged by half.
        """
        return sum(time.clock_gettime(_cpu_clock(pid)) for pid in self.pids())

    def worker_memory(self) -> float:
        """Return the resident memory of its largest worker, in MB."""
        sizes = []
        for pid in self.pids()[1:]:
            for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith("VmRSS"):
                    sizes.append(int(line.split()[1]) / 1024)
        return max(sizes)


def _cpu_clock(pid: int) -> int:
    """Return the id of another process's CPU clock, as clock_getcpuclockid(3) makes it."""
    return (~pid << 3) | 2


@contextlib.contextmanager
def serve(target: str, *, workers: int = 1, threads: int = 8, env: dict[str, str], ready: str = "/health"):
    """Run gunicorn on ``target`` and wait until it answers."""
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "gunicorn",
        "-b",
        f"127.0.0.1:{port}",
        "-w",
        str(workers),
        "-k",
        "gthread",
        "--threads",
        str(threads),
        "--keep-alive",
        "60",
        "--log-level",
        "warning",
        target,
    ]
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **env})
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
                connection.request("GET", ready)
                connection.getresponse().read()
                break
            except OSError:
                if time.monotonic() > deadline or process.poll() is not None:
                    raise SystemExit(f"{target} did not start") from None
                time.sleep(0.05)
        yield Server(process, port)
    finally:
        process.terminate()
        process.wait(timeout=60)


def post(connection: http.client.HTTPConnection, path: str, body: dict, headers: dict[str, str]) -> bytes:
    """Post JSON on a kept connection and return the body of the answer."""
    connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json", **headers})
    answer = connection.getresponse()
    data = answer.read()
    if answer.status != 200:
        raise SystemExit(f"{path} answered {answer.status}: {data[:300]!r}")
    return data
