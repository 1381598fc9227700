"""Health and readiness have a place however busy a worker is, and readiness ends with the wish to stop."""

import contextlib
import socket
import sys
import threading

import pytest
import requests

from flowrunner.app import create_app, runner_of
from tests.faults.site import waiting_flow
from tests.waiting import wait_until

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="finds workers through /proc")

PATHS = ("/health", "/health_check", "/ready")


def stream(site, begun):
    headers = {"x-api-key": site.key}
    with (
        contextlib.suppress(requests.RequestException),
        requests.post(
            f"{site.url}/api/v1/run/slow?stream=true",
            json={"input_value": "hi"},
            headers=headers,
            stream=True,
            timeout=60,
        ) as answer,
    ):
        for line in answer.iter_lines():
            begun.append(line)


def test_streams_on_all_threads_leave_a_place(make_site):
    site = make_site({"slow": waiting_flow(20)}, THREADS=3, STOP_WAIT=0.2).start()
    begun = [[] for _ in range(5)]
    threads = [threading.Thread(target=stream, args=(site, one), daemon=True) for one in begun]
    for thread in threads:
        thread.start()
    # Three stream; two wait for a thread, and so does whatever else is asked.
    assert wait_until(lambda: sum(map(bool, begun)) == 3)
    host, port = site.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as silent, requests.Session() as kept:
        for path in (*PATHS, *PATHS):
            for ask in (requests.get, requests.head, kept.get):
                assert ask(f"{site.url}{path}?a=b", timeout=15).status_code == 200
        with pytest.raises(requests.Timeout):
            requests.get(f"{site.url}/api/v1/version", timeout=0.5)
        # Who connects first and asks later is answered, too.
        silent.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        silent.settimeout(15)
        assert silent.recv(100).startswith(b"HTTP/1.1 200")
    assert sum(map(bool, begun)) == 3
    # Those that get a thread only when the others are cancelled begin nothing more.
    site.server.stop()
    for thread in threads:
        thread.join()
    assert [b"the server stops" in b"".join(lines) for lines in begun] == [True] * 5, begun
    assert "running" not in site.states().values()


def test_a_server_that_is_told_to_stop_is_not_ready(tmp_path):
    app = create_app(data_dir=tmp_path, auth="none", memory="in-memory")
    client, runner = app.test_client(), runner_of(app)
    assert (client.get("/ready").status_code, client.get("/ready").json) == (200, {"status": "ready"})
    runner.runs.stop_all()
    answer = client.get("/ready")
    assert (answer.status_code, answer.json) == (503, {"status": "not ready", "reason": "the server stops"})
    assert answer.headers["Retry-After"]
    assert client.get("/health").status_code == 200
    runner.close()
