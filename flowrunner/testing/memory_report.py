"""Report which promises a memory backend keeps: ``python -m flowrunner.testing.memory_report FILE ...``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.util import find_spec

import pytest

from flowrunner.testing.memory_results import Results, describe


def lines_of(results: Results) -> list[str]:
    """Return the report as lines of text."""
    found = []
    for name, groups in results.classes.items():
        found.append(name)
        for group, tests in groups.items():
            found.append(f"  {group:<24}{describe(tests)}")
            found += [f"      failed: {one.test}" for one in tests if one.outcome == "failed"]
    return found


def main(arguments: Sequence[str]) -> int:
    """Run the tests of the files and print the report; return pytest's exit code."""
    if not arguments:
        sys.stderr.write("usage: python -m flowrunner.testing.memory_report FILE [pytest options]\n")
        return 2
    results = Results()
    # Without pytest-xdist, which a project's settings may enable: its processes would collect the groups.
    alone = ["-n", "0"] if find_spec("xdist") else []
    code = int(pytest.main(["-q", "--no-header", *arguments, *alone], plugins=[results]))
    sys.stdout.write("\n" + "\n".join(lines_of(results)) + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
