"""Limits are counted for all processes, wherever they are counted; what a killed worker held comes back."""

import threading
import uuid

import pytest
import requests

from tests.faults.site import waiting_flow
from tests.live_server import DEADLINE
from tests.redis_server import RedisServer
from tests.waiting import wait_until

FLOWS = {"quick": waiting_flow(), "slow": waiting_flow(600.0)}


OTHER_SERVERS = [pytest.param(name, marks=pytest.mark.long) for name in ("postgresql", "redis")]


def new_database(request):
    """Make a database: servers of one have one key."""
    server, name = request.getfixturevalue("postgres_server"), f"limits_{uuid.uuid4().hex}"
    server.execute(f"CREATE DATABASE {name}")
    return server.url(name).render_as_string(hide_password=False)


@pytest.fixture(params=["sqlite", *OTHER_SERVERS])
def store(request, tmp_path):
    """Return the settings of a server whose limits are counted somewhere."""
    if request.param == "sqlite":
        yield {}
    elif request.param == "postgresql":
        yield {"database": new_database(request)}
    else:
        (tmp_path / "redis").mkdir()
        server = RedisServer(tmp_path / "redis")
        yield {"LIMITS_STORE": server.url}
        server.close()


def test_a_rate_holds_for_all_workers_together(make_site, store):
    site = make_site(FLOWS, WORKERS=2, RATE_PER_KEY="10/day", **store).start()
    statuses = []

    def come():
        # Each request on a connection of its own, which either worker takes.
        statuses.extend(site.post("/api/v1/run/quick", {"input_value": "x"}).status_code for _ in range(6))

    threads = [threading.Thread(target=come) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
    assert sorted(statuses) == [200] * 10 + [429] * 14


def begin(site, number):
    """Ask for runs that do not end by themselves, and wait until they are there."""

    def come():
        with pytest.raises((requests.ConnectionError, AssertionError)):
            assert site.post("/api/v1/run/slow", {"input_value": "x"}).status_code != 200

    threads = [threading.Thread(target=come, daemon=True) for _ in range(number)]
    for thread in threads:
        thread.start()
    assert wait_until(lambda: held(site) == number, DEADLINE)
    return threads


def held(site):
    return site.rows("SELECT count(*) FROM flowrunner_places")[0][0]


@pytest.mark.parametrize("kind", ["sqlite", OTHER_SERVERS[0]])
def test_places_of_all_workers_are_counted_together_and_those_of_a_killed_one_come_back(make_site, request, kind):
    settings = {}
    if kind == "postgresql":
        settings["database"] = new_database(request)
    site = make_site(FLOWS, WORKERS=2, RUNS_PER_KEY=3, **settings).start()
    begin(site, 3)
    refused = [site.post("/api/v1/run/quick", {"input_value": "x"}) for _ in range(6)]
    assert [answer.status_code for answer in refused] == [429] * 6
    assert all("FLOWRUNNER_RUNS_PER_KEY" in answer.text and answer.headers["Retry-After"] for answer in refused)
    site.kill_workers()

    def runs_again():
        try:
            return site.post("/api/v1/run/quick", {"input_value": "x"}).status_code == 200
        except requests.ConnectionError:
            return False

    assert wait_until(runs_again, DEADLINE)
    assert wait_until(lambda: held(site) == 0, DEADLINE)


def test_webhooks_over_the_limit_wait_and_all_end(make_site):
    site = make_site({"short": waiting_flow(0.05, source="Webhook")}, WORKERS=2, RUNS_PER_FLOW=2).start()
    accepted = [site.webhook("short", str(number)) for number in range(12)]
    assert wait_until(lambda: not site.open_runs(), DEADLINE)
    states = site.states()
    assert [states[run_id] for run_id in accepted] == ["success"] * 12
    assert wait_until(lambda: held(site) == 0, DEADLINE)
