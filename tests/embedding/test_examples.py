"""The example sites pass their own tests, as their owners would run them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SITES = sorted(path.parent.name for path in EXAMPLES.glob("site_*/pytest.ini"))


def run_tests(folder: Path, *words: str, as_installed: bool = False) -> subprocess.CompletedProcess:
    """Run pytest in a folder, as a process of its own.

    :param as_installed: load every plugin that is installed, as pytest does by itself; else ours
        alone, which takes a fraction of the time.
    """
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("FLOWRUNNER_", "PYTEST_"))}
    if not as_installed:
        environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        words = ("-p", "flowrunner.testing.pytest_plugin", *words)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


def test_all_three_are_there():
    assert SITES == ["site_shop", "site_smallest", "site_two_runners"]


@pytest.mark.parametrize("name", SITES)
def test_an_example_site_passes_its_own_tests(name):
    done = run_tests(EXAMPLES / name)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout


@pytest.mark.parametrize("name", SITES)
def test_its_tests_start_with_every_plugin_that_is_installed(name):
    done = run_tests(EXAMPLES / name, "--collect-only", as_installed=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", SITES)
def test_an_example_leaves_nothing_behind(name):
    left = {path.name for path in (EXAMPLES / name).rglob("*") if path.suffix in (".db", ".sqlite", ".lock", ".key")}
    assert left == set()
