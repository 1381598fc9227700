"""The report says, group by group, what a backend keeps of its promises."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def report(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "flowrunner.testing.memory_report", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)


@pytest.mark.dear
def test_a_report_names_what_passed_what_failed_and_what_was_left_out():
    broken = "tests/memory/broken_backends.py"
    ran = report(
        f"{broken}::TestSortsByTime",
        f"{broken}::TestSaysItIsDurable::test_the_dead_block_nobody",
        "-p",
        "no:cacheprovider",
    )
    lines = [" ".join(line.split()) for line in ran.stdout.splitlines()]
    assert ran.returncode == 1
    assert lines[lines.index("TestSortsByTime") :] == [
        "TestSortsByTime",
        "order FAILED 1 of 7",
        "failed: test_the_clock_does_not_decide_order",
        "TestSaysItIsDurable",
        "crashes left out it is not marked shared",
    ]


def test_a_report_on_nothing_says_how_to_ask():
    ran = report()
    assert ran.returncode == 2
    assert ran.stderr.startswith("usage:")
