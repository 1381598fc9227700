"""Background runs on engines of others, with workers as their users start them: each ends, and none is begun twice."""

import os
import random
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter

import pytest

from tests.faults.site import Site, waiting_flow
from tests.live_server import DEADLINE, PROGRAMS, ROOT, clean_environment
from tests.postgres_server import postgres_server  # noqa: F401 - a fixture
from tests.rabbitmq_server import RabbitServer
from tests.redis_server import RedisServer
from tests.waiting import wait_until

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="kills process groups")

_COMMANDS = {
    "celery": [
        "celery",
        "-A",
        "flowrunner_celery.worker",
        "worker",
        "--concurrency",
        "2",
        "--loglevel",
        "WARNING",
        "--without-gossip",
        "--without-mingle",
    ],
    "procrastinate": [
        "procrastinate",
        "--app=flowrunner_procrastinate.worker.app",
        "worker",
        "--concurrency=4",
        "--shutdown-graceful-timeout=10",
    ],
}


class Workers:
    """Worker processes of an engine, each the leader of a group."""

    def __init__(self, engine, site):
        self._command = [str(PROGRAMS / _COMMANDS[engine][0]), *_COMMANDS[engine][1:]]
        settings = {k: v for k, v in site.settings.items() if k != "BIND"}
        self._environment = clean_environment(**{f"FLOWRUNNER_{name}": str(value) for name, value in settings.items()})
        self._log = (site.folder / "workers.log").open("ab")
        self._number = 0
        self.running = []

    def start(self):
        self._number += 1
        name = ["-n", f"w{self._number}@test"] if "celery" in self._command[0] else []
        made = subprocess.Popen(
            [*self._command, *name],
            cwd=ROOT,
            env=self._environment,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )
        self.running.append(made)

    def kill(self, index):
        """Kill a worker with all its processes."""
        worker = self.running.pop(index)
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()

    def close(self):
        for worker in self.running:
            worker.send_signal(signal.SIGTERM)
        for worker in self.running:
            try:
                worker.wait(DEADLINE)
            finally:
                if worker.poll() is None:
                    os.killpg(worker.pid, signal.SIGKILL)
        self._log.close()


BROKERS = {"celery": RedisServer, "celery-rabbitmq": RabbitServer}

#: The one with RabbitMQ takes ten seconds to start.
RABBIT = pytest.param("celery-rabbitmq", marks=pytest.mark.long)


@pytest.fixture(params=["celery", RABBIT, "procrastinate"])
def place(request, tmp_path):
    """A site whose runs are on an engine, its workers, none of which is started, and the engine's broker."""
    engine = request.param.partition("-")[0]
    pytest.importorskip(engine)
    once, twice = waiting_flow(0.02, trace=str(tmp_path / "once")), waiting_flow(0.02, trace=str(tmp_path / "twice"))
    order = waiting_flow(0.01, source="Webhook", trace=str(tmp_path / "order"))
    order["components"]["out"]["settings"] = {"session_id": "one"}
    flows = {"once": once, "twice": {"idempotent": True, **twice}, "order": order, "slow": waiting_flow(30)}
    settings, broker = {"ENGINE": engine, "WORKERS": 2}, None
    if engine == "celery":
        broker = BROKERS[request.param](tmp_path)
        settings["CELERY_BROKER"] = broker.url
    else:
        server, name = request.getfixturevalue("postgres_server"), f"engine_{uuid.uuid4().hex}"
        server.execute(f"CREATE DATABASE {name}")
        settings["PROCRASTINATE_URL"] = f"postgresql:///{name}?host={server.folder}&user=postgres"
    site = Site(tmp_path, flows, **settings)
    workers = Workers(engine, site)
    yield site, workers, broker
    workers.close()
    site.close()
    if broker is not None:
        broker.close()
    assert "Traceback" not in (tmp_path / "workers.log").read_text()


def accept(site, number):
    """Accept background runs, each in a session of its own; return their ids by flow."""
    found = {"once": [], "twice": []}
    for count in range(number):
        flow = "once" if count % 2 else "twice"
        answer = site.post(
            f"/api/v1/run/{flow}?background=true", {"input_value": f"n{count}", "session_id": f"s{count}"}
        )
        assert answer.status_code == 202, answer.text
        found[flow].append(answer.json()["run_id"])
    return found


def check(site, accepted, tmp_path):
    """Assert that all have ended, and that what may not run twice did not."""
    states = site.states()
    assert set(states) == {i for ids in accepted.values() for i in ids}
    assert set(states.values()) <= {"success", "lost"}
    times = Counter((tmp_path / "once").read_text().split())
    assert set(times.values()) == {1}
    assert len([i for i in accepted["once"] if states[i] == "success"]) <= len(times)
    assert {states[i] for i in accepted["twice"]} == {"success"}
    for count in range(0, 10, 2):
        said = [m["text"] for m in site.get(f"/api/v1/monitor/messages?session_id=s{count}")]
        assert said == [f"n{count}", f"n{count}"]


def test_runs_end_on_an_engine_whose_worker_is_killed(place, tmp_path):
    site, workers, _ = place
    site.start()
    accepted = accept(site, 30)
    assert set(site.states().values()) == {"queued"}
    workers.start()
    assert wait_until(lambda: list(site.states().values()).count("success") >= 3, DEADLINE)
    workers.kill(0)
    workers.start()
    assert wait_until(lambda: not site.open_runs(), 120), Counter(site.states().values())
    check(site, accepted, tmp_path)
    shown = site.get(f"/api/v1/runs/{accepted['twice'][0]}")
    assert shown["result"]["outputs"]


def test_runs_of_one_session_begin_in_order_and_a_stopped_one_does_not_begin(place, tmp_path):
    site, workers, _ = place
    site.start()
    accepted = [site.webhook("order", f"n{number}") for number in range(12)]
    assert site.post(f"/api/v1/runs/{accepted[5]}/cancel").status_code == 202
    workers.start()
    assert wait_until(lambda: not site.open_runs(), 120), site.states()
    assert site.states() == {**dict.fromkeys(accepted, "success"), accepted[5]: "cancelled"}
    assert (tmp_path / "order").read_text().split() == [f"n{number}" for number in range(12) if number != 5]
    slow = site.post("/api/v1/run/slow?background=true", {"input_value": "hi"}).json()["run_id"]
    assert wait_until(lambda: site.states()[slow] == "running", DEADLINE)
    assert site.post(f"/api/v1/runs/{slow}/cancel").status_code == 202
    assert wait_until(lambda: site.states()[slow] == "cancelled", DEADLINE)


@pytest.mark.parametrize("kind", ["celery", RABBIT])
def test_runs_are_accepted_and_begun_later_while_the_broker_is_away(make_site, tmp_path, kind):
    pytest.importorskip("celery")
    broker = BROKERS[kind](tmp_path)
    site = make_site({"chat": waiting_flow(0)}, ENGINE="celery", CELERY_BROKER=broker.url).start()
    # This one leaves a connection behind, on which nobody says that a task was lost unless asked to.
    assert site.post("/api/v1/run/chat?background=true", {"input_value": "hi", "session_id": "s"}).status_code == 202
    broker.stop()
    workers = Workers("celery", site)
    try:
        accepted = [
            site.post("/api/v1/run/chat?background=true", {"input_value": "hi", "session_id": f"s{number}"})
            for number in range(5)
        ]
        assert [answer.status_code for answer in accepted] == [202] * 5
        assert list(site.states().values()) == ["queued"] * 6
        assert site.server.output.count("cannot be reached") == 1
        broker.start()
        workers.start()
        assert wait_until(lambda: not site.open_runs(), 120), site.states()
        assert set(site.states().values()) == {"success"}
        assert {answer.json()["run_id"] for answer in accepted} < set(site.states())
        # The workers may have sent all of them: the server says so when it is the next to send one.
        for _ in range(30):
            site.post("/api/v1/run/chat?background=true", {"input_value": "hi", "session_id": "s"})
            if wait_until(lambda: "can be reached again" in site.server.output, 1):
                break
        else:
            pytest.fail(site.server.output)
    finally:
        workers.close()
        broker.close()


@pytest.mark.long
def test_a_thousand_runs_end_though_workers_are_killed_at_random(place, tmp_path):
    site, workers, broker = place
    site.start()
    workers.start()
    workers.start()
    accepted, chance = accept(site, 1000), random.Random(7)
    deadline = time.monotonic() + 1200
    while site.open_runs():
        assert time.monotonic() < deadline, Counter(site.states().values())
        time.sleep(chance.uniform(2, 6))
        workers.kill(chance.randrange(len(workers.running)))
        workers.start()
        if broker is not None and chance.random() < 0.2:
            broker.stop()
            broker.start()
        if chance.random() < 0.3:
            site.kill_workers()
    check(site, accepted, tmp_path)
