"""The kit catches broken backends: each of many mistakes makes the test fail that is there for it."""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from tests.memory import broken_backends
from tests.memory.broken_backends import CAUGHT_BY

ROOT = Path(__file__).resolve().parents[2]
FILE = Path(broken_backends.__file__)


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """Run every broken backend against the one test that is to catch it, all in one process."""
    folder = tmp_path_factory.mktemp("teeth")
    command = [sys.executable, "-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider", f"--basetemp={folder / 'tmp'}"]
    command += [f"--junitxml={folder / 'report.xml'}", "-o", "junit_family=xunit1"]
    command += [f"{FILE}::{name}::{test}" for name, test in CAUGHT_BY.items()]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert ran.returncode == 1, ran.stdout + ran.stderr
    cases = ElementTree.parse(folder / "report.xml").iter("testcase")
    return {
        (case.get("classname", "").rpartition(".")[2], case.get("name")): [child.tag for child in case]
        for case in cases
    }


def test_there_are_enough_broken_backends():
    assert len(CAUGHT_BY) >= 60
    assert sum("histories" not in test for test in CAUGHT_BY.values()) >= 60


@pytest.mark.parametrize("name", CAUGHT_BY)
def test_the_mistake_is_caught(outcomes, name):
    found = [tags for (tests, test), tags in outcomes.items() if tests == name and test.startswith(CAUGHT_BY[name])]
    assert found
    assert any("failure" in tags for tags in found), "the kit did not notice"
    assert not any("error" in tags for tags in found), "the test broke instead of failing"
