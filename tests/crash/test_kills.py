"""``kill -9`` of gunicorn under load: what was answered is there, once, and in order."""

from __future__ import annotations

import os
import random
import sys

import pytest

from tests.crash.load import Load, check
from tests.crash.site import Site

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="finds workers through /proc")

DURABLE = ("sqlite", "file-json")


@pytest.fixture
def site(request, tmp_path):
    made = Site(tmp_path, request.param, workers=2)
    yield made
    made.close()


@pytest.mark.parametrize("site", DURABLE, indirect=True)
def test_ten_kills_lose_double_and_disorder_nothing(site):
    _kill_and_check(site, 10)


@pytest.mark.long
@pytest.mark.parametrize("site", DURABLE, indirect=True)
def test_a_hundred_kills_lose_double_and_disorder_nothing(site):
    _kill_and_check(site, 100)


def _kill_and_check(site: Site, kills: int) -> None:
    seed = os.environ.get("MEMORY_KIT_SEED", f"{kills} kills")
    chance = random.Random(seed)
    site.start()
    with Load(site, clients=6) as load:
        for number in range(kills):
            load.wait_for_answers(chance.randint(1, 25))
            if number % 2:
                site.kill_all()
                site.start("--preload")
            else:
                site.kill_worker(chance.randrange(100))
        load.wait_for_answers(12)
    site.close()
    stored = site.read()
    check(load.clients, stored)
    unanswered = sum(len(texts) for client in load.clients for texts in client.sent.values()) - sum(
        len(client.answered) for client in load.clients
    )
    assert unanswered, f"no kill hit a run (seed {seed})"
    assert not [words for client in load.clients for words in client.refused], "a run was refused"
