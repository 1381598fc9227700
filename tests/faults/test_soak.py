"""A worker that has done a hundred thousand runs is as large as after ten thousand, in memory, handles and files."""

import http.client
import json
import os
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.faults.site import Site, waiting_flow
from tests.waiting import wait_until

pytestmark = [
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc"),
    pytest.mark.long,
]

#: ``SOAK_RUNS=20000`` is enough to find what grows with every run.
RUNS = int(os.environ.get("SOAK_RUNS", "100000"))
CLIENTS, THREADS = 8, 16
SESSIONS = 500

#: What may be larger at the end than after the first tenth, by which caches are full and nearly all connections to the
#: database are there that the worker comes to need: each takes two handles and half a megabyte or a little more.
MEMORY, HANDLES = 1.05, 8


class Client:
    """A client that keeps its connection, and asks in every way in which a run can be asked for."""

    def __init__(self, site, name):
        self._site, self._name, self._host = site, name, site.url.removeprefix("http://")
        self._connection = http.client.HTTPConnection(self._host, timeout=120)
        self.counted = Counter()

    def close(self):
        self._connection.close()

    def talk(self, number):
        """Have one run, and read what there is to read of it."""
        body = {"input_value": f"{self._name} {number}", "session_id": f"s{number % SESSIONS}"}
        kind = number % 20
        if kind < 12:
            self._ask("plain", 200, "POST", "/api/v1/run/chat", body)
        elif kind == 12:
            self._ask("lines", 200, "POST", "/api/v1/run/chat?stream=true", body)
        elif kind == 13:
            self._ask("sse", 200, "POST", "/api/v1/run/chat?stream=sse", body)
        elif kind == 14:
            self._ask("webhook", 202, "POST", "/api/v1/webhook/hook", {"text": body["input_value"]})
        elif kind == 15:
            self._ask("background", 202, "POST", "/api/v1/run/chat?background=true", body)
        elif kind == 16:
            key = {"Idempotency-Key": f"{self._name}-{number}"}
            first = self._ask("keyed", 200, "POST", "/api/v1/run/chat", body, key)
            assert self._ask("replayed", 200, "POST", "/api/v1/run/chat", body, key) == first
        elif kind == 17:
            self._ask("failed", 500, "POST", "/api/v1/run/bad", body)
        elif kind == 18:
            self._ask("waited", 200, "POST", "/api/v1/run/wait", body)
        else:
            self._ask("response", 200, "POST", "/api/v1/responses", {"model": "chat", "input": body["input_value"]})
            self._ask("read", 200, "GET", f"/api/v1/monitor/messages?session_id={body['session_id']}&limit=20")
            self._ask("read", 200, "GET", "/api/v1/runs?limit=10")

    def _ask(self, kind, wanted, method, path, body=None, headers=None):
        sent = {"x-api-key": self._site.key, "Content-Type": "application/json", **(headers or {})}
        for last in (False, True):
            try:
                self._connection.request(method, path, None if body is None else json.dumps(body), sent)
                answer = self._connection.getresponse()
                break
            except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
                # gunicorn closes a connection that was kept for long.
                self._connection.close()
                assert not last
        read = answer.read()
        assert answer.status == wanted, (kind, answer.status, read)
        self.counted[kind] += 1
        return read


def look(site):
    """Return what the worker takes: its memory in kB, its handles, its threads, the files of the data folder."""
    (worker,) = site.workers()
    proc = Path(f"/proc/{worker}")
    status = dict(line.split(":", 1) for line in (proc / "status").read_text().splitlines())
    return {
        "memory": int(status["VmRSS"].split()[0]),
        "handles": len(list((proc / "fd").iterdir())),
        "threads": int(status["Threads"]),
        "files": sum(path.is_file() for path in site.data.rglob("*")),
    }


@pytest.fixture
def site(tmp_path):
    chat = {
        "components": {"in": {"type": "ChatInput"}, "out": {"type": "ChatOutput"}},
        "edges": ["in.message -> out.input_value"],
    }
    bad = waiting_flow(0)
    bad["components"]["wait0"] = {"type": "Fails"}
    flows = {
        "chat": chat,
        "hook": waiting_flow(0, source="Webhook"),
        "bad": bad,
        "wait": waiting_flow(0.001),
        "long": waiting_flow(2),
    }
    terms = {"RESUME_SECONDS": 2, "IDEMPOTENCY_SECONDS": 30, "RESULT_SECONDS": 30}
    made = Site(tmp_path, flows, WORKERS=1, THREADS=THREADS, POOL_SIZE=8, **terms)
    yield made.start()
    made.close()


def test_a_worker_stays_as_it_is(site):
    clients = [Client(site, f"c{number}") for number in range(CLIENTS)]
    seen, failed = [], []
    begun = time.monotonic()
    # All threads are there, with the connection and the memory that each of them keeps, before the first look.
    for path in ("run/long", "run/long?stream=true", "run/long?stream=sse", "run/long?background=true"):
        with ThreadPoolExecutor(THREADS) as pool:
            answers = pool.map(
                lambda n, path=path: site.post(f"/api/v1/{path}", {"session_id": f"w{n}"}).status_code, range(THREADS)
            )
            assert set(answers) <= {200, 202}
        assert wait_until(lambda: not site.open_runs(), 120)
    for tenth in range(10):

        def talk(client, tenth=tenth):
            share = RUNS // 10 // CLIENTS
            try:
                for number in range(tenth * share, (tenth + 1) * share):
                    client.talk(number)
            except BaseException as error:
                failed.append(error)

        threads = [threading.Thread(target=talk, args=(client,)) for client in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failed, failed[0]
        assert wait_until(lambda: not site.open_runs(), 120)
        # Streams are kept for their readers and connections of clients for a moment.
        wait_until(lambda: not list((site.data / "streams").glob("*.events")), 60)
        for client in clients:
            client.close()
        seen.append({**look(site), "seconds": round(time.monotonic() - begun)})
        print(seen[-1], flush=True)
    counted = sum((client.counted for client in clients), Counter())
    print(dict(counted))
    first, last = seen[0], seen[-1]
    assert last["memory"] <= first["memory"] * MEMORY, seen
    for what in ("handles", "threads", "files"):
        assert last[what] <= first[what] + HANDLES, (what, seen)
