"""Keys and runs by their id, on two servers with two data folders and one PostgreSQL."""

import random
import uuid
from concurrent.futures import ThreadPoolExecutor

import requests

from tests.faults.test_hosts import database, either, hosts, pytestmark  # noqa: F401 - fixtures
from tests.faults.test_once import ask, ask_patiently
from tests.faults.test_reading import events
from tests.live_server import DEADLINE
from tests.waiting import wait_until


def test_requests_that_are_sent_again_to_either_host_are_one_turn_each(hosts):  # noqa: F811
    keys = [str(uuid.uuid4()) for _ in range(10)]
    wanted, session = [key for key in keys for _ in range(5)], str(uuid.uuid4())
    random.shuffle(wanted)
    with ThreadPoolExecutor(10) as pool:
        answers = list(
            pool.map(lambda key: ask_patiently(either(hosts), "chat", key, session_id=session, input_value=key), wanted)
        )
    assert {a.status_code for a in answers} == {200}
    assert len({a.content for a in answers}) == len({a.headers["X-Run-Id"] for a in answers}) == 10
    said = hosts[0].get(f"/api/v1/monitor/messages?session_id={session}&limit=200")
    assert sorted(m["text"] for m in said) == sorted(keys * 2)
    refused = ask(hosts[1], "chat", keys[0], session_id=session, input_value="another")
    assert refused.status_code == 422


def test_a_stream_is_replayed_and_a_run_under_way_is_known_by_the_other_host(hosts):  # noqa: F811
    key, (one, other) = str(uuid.uuid4()), hosts
    first = ask(one, "chat", key, "?stream=sse", session_id="r")
    assert ask_patiently(other, "chat", key, "?stream=sse", session_id="r").content == first.content
    key = str(uuid.uuid4())
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask, one, "slow", key)
        run_id = wait_until(one.open_runs, DEADLINE)[0]
        assert ask(other, "slow", key).json()["code"] == "idempotency_in_flight"
        assert other.post(f"/api/v1/runs/{run_id}/cancel").status_code == 202
        assert asked.result().status_code == 499
    assert ask(other, "slow", key).content == asked.result().content


def test_a_background_run_is_read_at_the_other_host(hosts):  # noqa: F811
    one, other = hosts
    run_id = one.post("/api/v1/run/chat?background=true", {"input_value": "hi", "session_id": "b"}).json()["run_id"]
    found = events(other, run_id)
    assert [name for _, name, _ in found] == ["add_message", "add_message", "end"]
    assert other.get(f"/api/v1/runs/{run_id}")["result"] == found[-1][2]["result"]
    assert requests.get(f"{other.url}/api/v1/runs/{run_id}", timeout=DEADLINE).status_code in (401, 403)
