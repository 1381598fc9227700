"""The code is clean by its own tools, the core install small, and what CI runs is what the README says."""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.project.pages import ROOT

_MOST_DISTRIBUTIONS = 25

#: What an editable install adds to the needs of the package; a plain one does not have it.
_OF_EDITABLE_INSTALLS = "editables"

INSTALL_AND_SERVE = "python3 -m venv .venv && .venv/bin/pip install . && .venv/bin/flowrunner serve examples/flows"
INSTALL_AND_TEST = "python3 -m venv .venv && .venv/bin/pip install -e '.[dev]' && .venv/bin/pytest"


def _run_tool(*command):
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, env={**os.environ, "NO_COLOR": "1"}
    )
    assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout}{done.stderr}"


def test_ruff_finds_nothing():
    pytest.importorskip("ruff")
    _run_tool("ruff", "check", "--output-format=concise", ".")


def test_ruff_would_format_nothing():
    pytest.importorskip("ruff")
    _run_tool("ruff", "format", "--check", ".")


def test_the_formatter_decides_in_the_package():
    kept = re.compile(r"# fmt: (skip|off)")
    files = (path for folder in ("flowrunner", "plugins") for path in (ROOT / folder).rglob("*.py"))
    assert [str(path.relative_to(ROOT)) for path in sorted(files) if kept.search(path.read_text("utf-8"))] == []


@pytest.mark.dear
def test_mypy_finds_nothing():
    pytest.importorskip("mypy")
    # Whoever works on the code has a cache. A fresh clone would write five thousand files that nobody reads again.
    fresh = not (ROOT / ".mypy_cache").exists()
    _run_tool("mypy", *(["--cache-dir", os.devnull] if fresh else []))


def test_the_readme_opens_with_the_two_commands():
    text = (ROOT / "README.md").read_text("utf-8")
    commands = [line for line in text.splitlines() if line.startswith("python3 -m venv")]
    assert commands == [INSTALL_AND_SERVE, INSTALL_AND_TEST]
    opening = text.partition("\n## ")[0]
    assert INSTALL_AND_SERVE in opening
    assert INSTALL_AND_TEST in opening


def test_ci_ends_with_the_second_command():
    lines = (ROOT / ".ci" / "run").read_text("utf-8").rstrip().splitlines()
    assert lines[-1] == INSTALL_AND_TEST
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_the_core_install_is_small():
    found = _needed("flask-flowrunner")
    assert len(found) <= _MOST_DISTRIBUTIONS, f"{len(found)} distributions: {', '.join(sorted(found))}"


def test_the_readme_gives_a_reason_for_each_dependency():
    text = (ROOT / "README.md").read_text("utf-8")
    table = text.partition("## What it needs")[2]
    named = set(re.findall(r"^\| `([\w-]+)` \| \w", table, re.MULTILINE))
    direct = {canonicalize_name(r.name) for r in _requirements("flask-flowrunner")}
    assert named == direct, "after a change of dependencies: pip install -e '.[dev]'"


def _requirements(name):
    """Return what a distribution needs on this Python, without extras."""
    wanted = [Requirement(text) for text in importlib.metadata.requires(name) or ()]
    return [
        requirement
        for requirement in wanted
        if requirement.name != _OF_EDITABLE_INSTALLS
        and (requirement.marker is None or requirement.marker.evaluate({"extra": ""}))
    ]


def _needed(name):
    """Return the names of all distributions that one needs, itself included."""
    found, todo = {canonicalize_name(name)}, [name]
    while todo:
        for requirement in _requirements(todo.pop()):
            needed = canonicalize_name(requirement.name)
            if needed not in found:
                found.add(needed)
                todo.append(needed)
    return found
