"""Two hundred streams at a time on two workers; the server goes on answering meanwhile."""

from __future__ import annotations

import json
import statistics
import threading
import time
from pathlib import Path

from flowrunner.testing.model_script import say
from flowrunner.testing.model_server import ModelServer
from tests.streaming.reading import lines_of, opened
from tests.streaming.serving import CHAT, serve

STREAMS = 200
WORDS = tuple(f"word{n} " for n in range(20))


def test_two_hundred_streams(tmp_path, capsys):
    with (
        ModelServer(lambda body: say(*WORDS, pause=0.1)) as model,
        serve(tmp_path, model.url, workers=2, threads=128, flows=(CHAT,), turn_wait=60) as server,
    ):
        with opened(server, "chat", "warm", stream="true") as response:
            list(lines_of(response))
        idle = _memory(server.pid)
        whole, peak, waits = _stream_and_watch(server)
    assert sorted(whole) == list(range(STREAMS))
    assert all(waits), "the health check was refused"
    with capsys.disabled():
        print(
            f"\n{STREAMS} streams: /health median {statistics.median(waits) * 1000:.0f} ms, worst"
            f" {max(waits) * 1000:.0f} ms of {len(waits)}; {(peak - idle) / STREAMS:.0f} KB a stream"
        )


def _stream_and_watch(server):
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
        while not done.wait(0.05):
            started = time.monotonic()
            healthy = server.get("/health", timeout=30)["status"] == "ok"
            waits.append(healthy and time.monotonic() - started)

    def weigh():
        while not done.wait(0.5):
            sizes.append(_memory(server.pid))

    watchers = [threading.Thread(target=ask), threading.Thread(target=weigh)]
    for watcher in watchers:
        watcher.start()
    threads = [threading.Thread(target=read, args=(number,)) for number in range(STREAMS)]
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
