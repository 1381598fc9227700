"""Keys and runs by their id, on two servers with two data folders and one PostgreSQL."""

import sys
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from tests.faults.test_once import ask, ask_patiently
from tests.faults.test_reading import events
from tests.live_server import DEADLINE
from tests.waiting import wait_until

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="finds workers through /proc")


def test_a_stream_is_replayed_and_a_run_under_way_is_known_by_the_other_host(hosts):
    key, (one, other) = str(uuid.uuid4()), hosts
    first = ask(one, "chat", key, "?stream=sse", session_id="r")
    assert ask_patiently(other, "chat", key, "?stream=sse", session_id="r").content == first.content
    assert ask(other, "chat", key, "?stream=sse", session_id="another").status_code == 422
    key = str(uuid.uuid4())
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask, one, "slow", key)
        run_id = wait_until(one.open_runs, DEADLINE)[0]
        assert ask(other, "slow", key).json()["code"] == "idempotency_in_flight"
        assert other.post(f"/api/v1/runs/{run_id}/cancel").status_code == 202
        assert asked.result().status_code == 499
    assert ask(other, "slow", key).content == asked.result().content


def test_a_background_run_is_read_at_the_other_host(hosts):
    one, other = hosts
    run_id = one.post("/api/v1/run/chat?background=true", {"input_value": "hi", "session_id": "b"}).json()["run_id"]
    found = events(other, run_id)
    assert [name for _, name, _ in found] == ["add_message", "add_message", "end"]
    assert other.get(f"/api/v1/runs/{run_id}")["result"] == found[-1][2]["result"]
    assert requests.get(f"{other.url}/api/v1/runs/{run_id}", timeout=DEADLINE).status_code in (401, 403)
