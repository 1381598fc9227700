"""Runs that are asked for, read and ended at either of two servers."""

import random
import sys
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.faults.test_once import test_500_requests_with_50_keys_by_20_clients_are_50_turns
from tests.faults.test_reading import events
from tests.waiting import wait_until

__all__ = ["test_500_requests_with_50_keys_by_20_clients_are_50_turns"]

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="finds workers through /proc")


@pytest.fixture(scope="module")
def site(hosts):
    return hosts


def states(hosts, ids):
    found = hosts.states()
    return [found[run_id] for run_id in ids]


def test_background_runs_of_one_session_begin_in_the_order_in_which_both_hosts_accepted_them(hosts):
    session = f"lane-{uuid.uuid4()}"
    accepted = []
    for number in range(20):
        answer = hosts.post("/api/v1/run/chat?background=true", {"input_value": f"n{number}", "session_id": session})
        assert answer.status_code == 202, answer.text
        accepted.append(answer.json()["run_id"])
    assert wait_until(lambda: not hosts.open_runs(), 60), hosts.states()
    assert states(hosts, accepted) == ["success"] * 20
    said = [m["text"] for m in hosts.get(f"/api/v1/monitor/messages?session_id={session}&limit=100")]
    assert said == [f"n{number}" for number in range(20) for _ in range(2)]


def test_the_events_of_a_run_are_read_at_the_other_host_while_it_runs(hosts):
    one, other = hosts.pair()
    run_id = one.post("/api/v1/run/steps?background=true", {"input_value": "hi", "session_id": "e"}).json()["run_id"]
    with ThreadPoolExecutor(2) as pool:
        ours, theirs = pool.map(lambda site: events(site, run_id), (one, other))
    assert ours == theirs
    assert [name for _, name, _ in ours] == ["add_message", "add_message", "end"]
    assert other.get(f"/api/v1/runs/{run_id}")["result"] == one.get(f"/api/v1/runs/{run_id}")["result"] is not None


@pytest.mark.parametrize("kind", ["?stream=true", "?stream=sse", "?background=true", "webhook"])
def test_a_run_of_any_kind_is_cancelled_by_the_other_host(hosts, kind):
    one, other = hosts.pair()
    body = {"input_value": "hi", "session_id": f"c-{uuid.uuid4()}"}
    path = "/api/v1/webhook/slowhook" if kind == "webhook" else f"/api/v1/run/slow{kind}"
    answers = []
    thread = threading.Thread(target=lambda: answers.append(one.post(path, body)))
    thread.start()
    run_id = wait_until(lambda: [i for i in hosts.open_runs() if hosts.states()[i] == "running"], 60)[0]
    assert other.post(f"/api/v1/runs/{run_id}/cancel").status_code == 202
    thread.join()
    assert wait_until(lambda: hosts.states()[run_id] == "cancelled", 60)
    if "stream" in kind:
        assert "the user cancelled it" in answers[0].text
    else:
        assert answers[0].status_code == 202
        assert one.get(f"/api/v1/runs/{run_id}")["error"]["code"] == "run_cancelled"


def test_a_turn_at_one_host_waits_for_that_at_the_other(hosts):
    """Each question stands beside its answer, whatever kind of run asks where."""
    session, chance = f"turns-{uuid.uuid4()}", random.Random(3)
    asked = [(f"n{number}", hosts.either(), chance.choice(["", "?stream=true", "?stream=sse"])) for number in range(12)]

    def ask(one):
        text, site, query = one
        return site.post(f"/api/v1/run/chat{query}", {"input_value": text, "session_id": session})

    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(ask, asked))
    assert {answer.status_code for answer in answers} == {200}
    said = [m["text"] for m in hosts.get(f"/api/v1/monitor/messages?session_id={session}&limit=100")]
    assert said[::2] == said[1::2]
    assert sorted(said[::2]) == sorted(text for text, _, _ in asked)


def test_the_run_log_of_both_hosts_is_one(hosts):
    session = f"log-{uuid.uuid4()}"
    for number in range(6):
        flow, status = (("bad", 500), ("plain", 200))[number % 2]
        assert hosts.post(f"/api/v1/run/{flow}", {"input_value": "hi", "session_id": session}).status_code == status

    def logged(site):
        return site.get(f"/api/v1/runs?session_id={session}&limit=20")["items"]

    # A host writes what vertices did a moment after the run.
    assert wait_until(lambda: len(logged(hosts[0])) == 6 and logged(hosts[0]) == logged(hosts[1]), 60)
    assert sorted(run["status"] for run in logged(hosts[1])) == ["error"] * 3 + ["success"] * 3
