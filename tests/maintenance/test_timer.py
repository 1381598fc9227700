"""Purging while a server runs: in time, and in one process of many."""

from __future__ import annotations

import fcntl
import json
import os
import threading
import time

import pytest

from flowrunner.app import create_app, runner_of
from flowrunner.identity import LOCAL_IDENTITY
from flowrunner.memory.purge_timer import PurgeTimer
from tests.maintenance.conftest import said

DAY = 86400.0


@pytest.fixture
def acts():
    return []


@pytest.fixture
def timer(tmp_path, acts):
    made = PurgeTimer(tmp_path, DAY, lambda stopped: acts.append(stopped()))
    yield made
    made.stop()


def set_last(tmp_path, seconds_ago):
    path = tmp_path / "purge.lock"
    path.touch()
    os.utime(path, (time.time() - seconds_ago,) * 2)


def test_it_acts_when_its_time_has_come_and_not_again(tmp_path, timer, acts):
    assert 0 < timer.act_if_due() <= DAY
    assert acts == []
    set_last(tmp_path, DAY / 2)
    assert DAY / 2 - 60 < timer.act_if_due() <= DAY / 2
    assert acts == []
    set_last(tmp_path, DAY + 1)
    assert timer.act_if_due() == DAY
    assert acts == [False]
    timer.act_if_due()
    assert acts == [False]


def test_a_clock_that_was_set_back_does_not_stop_it(tmp_path, timer, acts):
    set_last(tmp_path, -10 * DAY)
    timer.act_if_due()
    assert acts == [False]


def test_one_process_at_a_time_acts(tmp_path, timer, acts):
    set_last(tmp_path, DAY + 1)
    with (tmp_path / "purge.lock").open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        timer.act_if_due()
        assert acts == []
    timer.act_if_due()
    assert acts == [False]


def test_of_several_timers_one_acts(tmp_path):
    set_last(tmp_path, DAY + 1)
    acted = []
    timers = [PurgeTimer(tmp_path, DAY, lambda stopped, n=n: acted.append(n)) for n in range(8)]
    threads = [threading.Thread(target=timer.act_if_due) for timer in timers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(acted) == 1


def test_it_starts_once_and_survives_failures(tmp_path, caplog):
    tried = threading.Event()

    def fail(stopped):
        tried.set()
        raise OSError("disk full")

    set_last(tmp_path, DAY + 1)
    timer = PurgeTimer(tmp_path, DAY, fail)
    timer.start()
    timer.start()
    assert sum(thread.name == "flowrunner-purge" for thread in threading.enumerate()) == 1
    assert tried.wait(60)
    timer.stop()
    timer.start()
    assert "messages could not be purged" in caplog.text


def test_a_server_purges_by_its_settings(tmp_path):
    flows = tmp_path / "flows"
    flows.mkdir()
    flow = {
        "components": {"question": {"type": "ChatInput"}, "answer": {"type": "ChatOutput"}},
        "edges": ["question -> answer"],
    }
    (flows / "echo.json").write_text(json.dumps(flow))
    data = tmp_path / "data"
    data.mkdir()
    set_last(data, 100)
    runner = runner_of(
        create_app(
            flows_dir=str(flows),
            data_dir=data,
            memory="in-memory",
            memory_retention="session=old age=1d",
            memory_purge_every=60,
        )
    )
    mine = runner.memory_of(LOCAL_IDENTITY)
    mine.append([said(n, session_id="old", days=1000) for n in range(3)])
    assert [one.messages for one in runner.purge(dry_run=True)] == [3]
    runner.run("echo", "hi", session_id="new")
    deadline = time.monotonic() + 60
    while mine.fetch(session_id="old") and time.monotonic() < deadline:
        threading.Event().wait(0.01)
    assert [summary.session_id for summary in mine.sessions()] == ["new"]
    runner.close()
    assert not any(thread.name == "flowrunner-purge" for thread in threading.enumerate())
