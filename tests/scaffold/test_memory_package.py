"""``flowrunner new memory``: what it writes is green at once, and is found once it is installed."""

from __future__ import annotations

import subprocess
import sys

import pytest
from click.testing import CliRunner

from flowrunner import BadRequest
from flowrunner.cli import cli
from flowrunner.scaffold import write_memory_package
from tests.fork_server import FORK_SERVER
from tests.live_server import clean_environment

NAME = "my-shelf"

#: What others installed for themselves takes pytest seconds to import.
NO_PLUGINS = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}

#: Tests of the kit that take many processes, messages, sessions or histories; the long test runs them too.
SLOW = (
    "random_histories",
    "large_store",
    "can_be_searched",
    "process",
    "a_kill",
    "no_message_is_lost",
    "each_thread",
    "a_thousand_sessions",
)


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """A package fresh from the command."""
    folder = tmp_path_factory.mktemp("new") / "shelf"
    done = CliRunner().invoke(cli, ["new", "memory", NAME, "--dir", str(folder)])
    assert done.exit_code == 0, done.output
    assert f"cd {folder} && pip install" in done.output
    return folder


def run(package, *command, **environment):
    done = subprocess.run(
        [sys.executable, *command],
        cwd=package,
        env=clean_environment(**{"PYTHONWARNINGS": "error", **NO_PLUGINS, **environment}),
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_is_a_whole_package(package):
    assert sorted(path.relative_to(package).as_posix() for path in package.rglob("*") if path.is_file()) == [
        "README.md",
        "flowrunner_my_shelf/__init__.py",
        "flowrunner_my_shelf/backend.py",
        "pyproject.toml",
        "tests/test_backend.py",
        "tests/test_plugin.py",
    ]
    assert not any("${" in path.read_text() for path in package.rglob("*") if path.is_file())


@pytest.mark.dear
def test_its_tests_are_green(package):
    wanted = f"not ({' or '.join(SLOW)})"
    shown = run(package, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", "-k", wanted, PYTHONPATH=str(package))
    assert " passed" in shown
    # A backend that begins in one process has no locks and no server of its own.
    assert {line.rsplit(": ", 1)[1] for line in shown.splitlines() if line.startswith("SKIPPED")} <= {
        "it offers no session_lock",
        "the test class does not define crash_store, which kills the server that stores the messages",
    }


@pytest.mark.long
def test_all_of_the_kit_is_green(package):
    command = ("-m", "flowrunner.testing.memory_report", "tests/test_backend.py")
    shown = run(package, *command, PYTHONPATH=str(package))
    assert "FAILED" not in shown
    left = [line for line in shown.splitlines() if "left out" in line]
    assert all("session_lock" in line or "crash_store" in line for line in left), left


def test_it_is_clean_code(package):
    pytest.importorskip("ruff")
    rules = ("--isolated", "--line-length", "120", "--no-cache")
    run(package, "-m", "ruff", "check", *rules, "--select", "B,E,F,I,UP,W", ".")
    run(package, "-m", "ruff", "format", *rules, "--check", ".")


def test_it_is_found_once_it_is_installed(package, tmp_path):
    pytest.importorskip("hatchling")
    target = tmp_path / "site"
    pip = ("-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index", "--target", str(target))
    run(package, *pip, "--disable-pip-version-check", ".", PYTHONWARNINGS="default")
    environment = clean_environment(PYTHONPATH=str(target), FLOWRUNNER_MEMORY=NAME, PYTHONWARNINGS="error")
    done = FORK_SERVER.run(["plugins"], environment, package)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"loaded   {NAME} (flowrunner-{NAME} 0.1.0)" in done.stdout
    assert f"memory   {NAME} (chosen)" in done.stdout


@pytest.mark.parametrize("name", ["", "My-Shelf", "my_shelf", "../shelf", "1shelf", "shelf-", "x" * 41, "a b", "ü"])
def test_a_name_that_is_none_is_refused(name, tmp_path):
    with pytest.raises(BadRequest, match="lower-case letters"):
        write_memory_package(name, tmp_path / "new")
    assert not list(tmp_path.iterdir())


def test_a_name_that_is_taken_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(cli, ["new", "memory", "sqlite"])
    assert "A memory backend named sqlite already exists" in str(done.exception)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["components", "models"])
def test_a_name_whose_package_is_there_is_refused(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(cli, ["new", "memory", name])
    assert f"A package flowrunner_{name} already exists" in str(done.exception)
    assert not list(tmp_path.iterdir())


def test_nothing_is_written_over(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(BadRequest, match="already exists"):
        write_memory_package("shelf", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("name", ["x", "class", "a-b-c3", "y" * 40])
def test_any_name_gives_code_that_can_be_read(name, tmp_path):
    for path in write_memory_package(name, tmp_path / name):
        if path.suffix == ".py":
            compile(path.read_text(), str(path), "exec")
