"""Hundreds of streams at a time on two workers; the server goes on answering who asks how it is meanwhile."""

from __future__ import annotations

import json
import statistics
import threading
import time
from itertools import cycle
from pathlib import Path

import pytest

from flowrunner.testing.model_script import say
from flowrunner.testing.model_server import ModelServer
from tests.streaming.reading import lines_of, opened
from tests.streaming.serving import CHAT, serve

WORDS = tuple(f"word{n} " for n in range(20))

PATHS = ("/health", "/health_check", "/ready")

#: Seconds after which a probe of a load balancer or supervisor would count the server as dead.
BOUND = 30


# Three hundred are more than there are threads, so some wait for others to end.
@pytest.mark.parametrize(
    "streams", [pytest.param(200, marks=pytest.mark.dear), pytest.param(300, marks=pytest.mark.long)]
)
def test_many_streams(tmp_path, capsys, streams):
    with (
        ModelServer(lambda body: say(*WORDS, pause=0.1)) as model,
        serve(tmp_path, model.url, workers=2, threads=128, flows=(CHAT,), turn_wait=60) as server,
    ):
        with opened(server, "chat", "warm", stream="true") as response:
            list(lines_of(response))
        idle = _memory(server.pid)
        whole, peak, waits = _stream_and_watch(server, streams)
    assert sorted(whole) == list(range(streams))
    assert all(waits), "a health check was refused"
    with capsys.disabled():
        print(
            f"\n{streams} streams: health checks median {statistics.median(waits) * 1000:.0f} ms, worst"
            f" {max(waits) * 1000:.0f} ms of {len(waits)}; {(peak - idle) / streams:.0f} KB a stream"
        )


def _stream_and_watch(server, streams):
    whole, lock, done = [], threading.Lock(), threading.Event()

    def read(number):
        with opened(server, "chat", "hi", stream="true", session=f"s{number}", timeout=120) as response:
            # Read in one go: 200 readers that look at every byte would be slower than the server.
            events = [json.loads(line) for line in response.text.splitlines() if line]
        said = "".join(e["data"]["chunk"] for e in events if e["event"] == "token")
        if said == "".join(WORDS) and events[-1]["event"] == "end" and events[-2]["data"]["text"] == said:
            with lock:
                whole.append(number)

    waits, sizes = [], []

    def ask():
        for path in cycle(PATHS):
            if done.wait(0.05):
                return
            started = time.monotonic()
            healthy = server.get(path, timeout=BOUND)["status"] in ("ok", "ready")
            waits.append(healthy and time.monotonic() - started)

    def weigh():
        while not done.wait(0.5):
            sizes.append(_memory(server.pid))

    watchers = [threading.Thread(target=ask), threading.Thread(target=weigh)]
    for watcher in watchers:
        watcher.start()
    threads = [threading.Thread(target=read, args=(number,)) for number in range(streams)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    done.set()
    for watcher in watchers:
        watcher.join()
    return whole, max(sizes), waits


def _memory(master):
    """Return the private memory of a server's workers in KB."""
    found = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            stat = (process / "stat").read_text().rpartition(")")[2].split()
            if int(stat[1]) == master:
                rollup = (process / "smaps_rollup").read_text()
                found += sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Private_"))
        except (OSError, IndexError):
            continue
    return found
