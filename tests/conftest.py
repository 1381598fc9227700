"""Fixtures that tests of several parts use."""

import os

import pytest

from tests.javascript_client import javascript_client
from tests.live_server import keyed_server, open_server, start_server
from tests.postgres_server import postgres_server

__all__ = ["javascript_client", "keyed_server", "open_server", "postgres_server", "start_server"]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Return how many processes share the tests: one more than cores, since many tests wait for servers and disks."""
    return (os.cpu_count() or 1) + 1
