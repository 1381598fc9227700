"""Fixtures that tests of several parts use."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.fork_server import FORK_SERVER
from tests.javascript_client import javascript_client
from tests.live_server import keyed_server, open_server, start_server
from tests.postgres_server import postgres_server

# Hundreds of processes import the package: what the first has compiled, the others read.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

__all__ = ["javascript_client", "keyed_server", "open_server", "postgres_server", "start_server"]


# How long an example takes says how busy the machine is: no test fails for that.
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")


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


@pytest.fixture(scope="session", autouse=True)
def _fork_server_ends() -> Iterator[None]:
    """End the process that forks servers, if a test has started it."""
    yield
    FORK_SERVER.close()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let each process of a run begin with its part of the dear tests: who met one last would keep the others waiting.

    Each process gets one piece of the list, of the same length, and takes from the end of others' when it is done.
    """
    workers = int(getattr(config, "workerinput", {}).get("workercount", 1))
    dear = [item for item in items if item.get_closest_marker("dear")]
    others = [item for item in items if not item.get_closest_marker("dear")]
    items.clear()
    for number in range(workers):
        part = dear[number::workers]
        left = workers - number
        rest = (len(others) + sum(len(dear[n::workers]) for n in range(number, workers))) // left - len(part)
        items += [*part, *others[:rest]]
        del others[:rest]
