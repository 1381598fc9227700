"""The whole contract on the backend ``in-memory``, and what only it promises."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from flowrunner_in_memory import InMemory
from flowrunner_in_memory.workers import count_workers, warn_about_workers

from flowrunner.testing import MemoryBackendContract
from flowrunner.testing.memory.samples import append_texts, fetch_texts


class TestInMemory(MemoryBackendContract):
    def open_backend(self, folder: Path) -> InMemory:
        return InMemory()


def test_the_oldest_messages_go_when_there_are_too_many():
    backend = InMemory(max_messages=3)
    append_texts(backend, *"abcde")
    assert fetch_texts(backend) == ["c", "d", "e"]


@pytest.mark.parametrize(
    ("environ", "workers"),
    [
        ({}, 1),
        ({"FLOWRUNNER_WORKERS": "1", "WEB_CONCURRENCY": "4"}, 1),
        ({"FLOWRUNNER_WORKERS": "4"}, 4),
        ({"WEB_CONCURRENCY": "3"}, 3),
        ({"GUNICORN_CMD_ARGS": "--bind :80 --workers=5"}, 5),
        ({"GUNICORN_CMD_ARGS": "-w 2 --preload"}, 2),
        ({"GUNICORN_CMD_ARGS": "-w2"}, 2),
        ({"WEB_CONCURRENCY": "many"}, 1),
    ],
)
def test_the_environment_tells_how_many_workers_run(environ, workers):
    assert count_workers(environ) == workers


def test_several_workers_are_warned_of_once(caplog):
    with caplog.at_level(logging.WARNING, logger="flowrunner"):
        warn_about_workers({"WEB_CONCURRENCY": "1"})
        assert not caplog.records
        warn_about_workers({"WEB_CONCURRENCY": "4"})
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "4 workers" in caplog.text
