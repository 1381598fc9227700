"""Fixtures that tests of several parts use."""

import gc
import importlib
import os
import re
import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.fork_server import FORK_SERVER
from tests.javascript_client import javascript_client
from tests.live_server import keyed_server, open_server, start_server
from tests.postgres_server import postgres_server

# Hundreds of processes import the package: what the first has compiled, the others read.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

_MEMORY_FOLDER = Path("/dev/shm")
_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
_GIGABYTE = 2**30


def _keep_files_in_memory() -> None:
    """Have pytest make its folders in memory, where the machine has plenty and nobody has said where to make them.

    Stores wait for the disk with each write that they acknowledge, some hundred thousand times in a run. What tests
    break off are processes, and never the power. A whole run leaves a gigabyte of files.
    """
    available = re.search(r"^MemAvailable: *(\d+) kB$", _read("/proc/meminfo"), re.MULTILINE)
    # A container sees the memory of its host, and has a limit of its own.
    limits = [int(limit) for limit in map(_read, _LIMITS) if limit.strip().isdigit()]
    if available is None or min([int(available[1]) * 1024, *limits]) < 6 * _GIGABYTE:
        return
    if not os.access(_MEMORY_FOLDER, os.W_OK):
        return
    found = os.statvfs(_MEMORY_FOLDER)
    # Some tests write programs and start them.
    if found.f_bavail * found.f_frsize > 3 * _GIGABYTE and not found.f_flag & os.ST_NOEXEC:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_MEMORY_FOLDER))


def _read(path: str) -> str:
    return Path(path).read_text() if Path(path).exists() else ""


_keep_files_in_memory()

__all__ = ["javascript_client", "keyed_server", "open_server", "postgres_server", "start_server"]


# How long an example takes says how busy the machine is: no test fails for that.
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Return how many processes share the tests: two more than cores, since a third of their time is waiting.

    With one more, a fifth of two cores is idle.
    """
    return (os.cpu_count() or 1) + 2


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Collect without the garbage collector, and have it pass over what was collected for good.

    It would walk over ten thousand tests and all modules again and again: a fifth of what a test with an app takes.
    """
    gc.disable()
    _share_rewriting(session.config)
    try:
        return (yield)
    finally:
        gc.enable()
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 20)


def _share_rewriting(config: pytest.Config) -> None:
    """Import a part of the test modules, which leaves its rewritten assertions for the other processes of a run.

    In a fresh clone each process would rewrite them all. What cannot be imported says so when it is collected.
    """
    given = getattr(config, "workerinput", None)
    if given is None or sys.dont_write_bytecode or config.args != config.getini("testpaths"):
        return
    modules = sorted(Path(__file__).parent.rglob("test_*.py"))
    for path in modules[int(given["workerid"].removeprefix("gw")) :: int(given["workercount"])]:
        name = ".".join(path.relative_to(config.rootpath).with_suffix("").parts)
        try:
            importlib.import_module(name)
        except (Exception, pytest.skip.Exception):
            sys.modules.pop(name, None)


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
