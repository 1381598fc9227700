"""Fixtures that tests of several parts use."""

import os
from collections.abc import Iterator

import pytest

from tests.javascript_client import javascript_client
from tests.live_server import keyed_server, open_server, start_server
from tests.postgres_server import postgres_server

__all__ = ["javascript_client", "keyed_server", "open_server", "postgres_server", "start_server"]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Return how many processes share the tests: one more than cores, since many tests wait for servers and disks."""
    return (os.cpu_count() or 1) + 1


@pytest.fixture(scope="session", autouse=True)
def _own_data_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what the tests store out of the data folder of whoever runs them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data-home")))
        yield
