"""The kit catches broken backends: each of many mistakes makes the test fail that is there for it."""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from flowrunner.testing.memory_results import group_of
from tests.live_server import ROOT, clean_environment
from tests.memory import broken_backends
from tests.memory.broken_backends import CAUGHT_BY
from tests.project.kit_pages import groups

FILE = Path(broken_backends.__file__)
#: So many parts can run side by side; each starts one process.
PARTS = 4


def outcomes(names, folder):
    """Run broken backends, each against the one test that is to catch it, in one process; return what became."""
    report = folder / "report.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-c", os.devnull, "-p", "no:cacheprovider", f"--junitxml={report}"]
    command += [f"--basetemp={folder / 'tmp'}", "-o", "junit_family=xunit1", "--tb=line"]
    command += [f"{FILE}::{name}::{CAUGHT_BY[name]}" for name in names]
    environment = clean_environment(PYTHONPATH=str(ROOT), PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600)
    assert ran.returncode == 1, ran.stdout + ran.stderr
    found = {name: [] for name in names}
    for case in ElementTree.parse(report).iter("testcase"):
        name = case.get("classname", "").rpartition(".")[2]
        assert case.get("name").startswith(CAUGHT_BY[name])
        found[name].append([child.tag for child in case])
    return found


def test_there_are_enough_broken_backends_and_one_for_each_group():
    assert len(CAUGHT_BY) >= 60
    assert sum("histories" not in test for test in CAUGHT_BY.values()) >= 60
    caught = {group_of(getattr(broken_backends, name), test.partition("[")[0]) for name, test in CAUGHT_BY.items()}
    assert caught == set(groups())


@pytest.mark.dear
@pytest.mark.parametrize("part", range(PARTS))
def test_each_mistake_is_caught_by_its_test(part, tmp_path):
    found = outcomes(list(CAUGHT_BY)[part::PARTS], tmp_path)
    unnoticed = {name: CAUGHT_BY[name] for name, cases in found.items() if not any("failure" in tags for tags in cases)}
    assert unnoticed == {}, "the kit did not notice these mistakes"
    broke = {name: CAUGHT_BY[name] for name, cases in found.items() if any("error" in tags for tags in cases)}
    assert broke == {}, "the test broke instead of failing"
