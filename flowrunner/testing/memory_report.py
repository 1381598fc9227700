"""Which promises a memory backend keeps, group by group: ``python -m flowrunner.testing.memory_report FILE ...``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import pytest


class GroupCounter:
    """A pytest plugin that counts what became of the tests of each class and group."""

    def __init__(self) -> None:
        self.results: dict[str, dict[str, list[tuple[str, str, str]]]] = {}
        self._groups: dict[str, tuple[str, str]] = {}

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        """Note to which class and group each test belongs."""
        # Imported before pytest has begun, the kit would lose what pytest adds to its assertions.
        from flowrunner.testing.memory.opening import BackendTests

        for item in items:
            owner = getattr(item, "cls", None)
            if owner is not None and issubclass(owner, BackendTests):
                self._groups[item.nodeid] = (owner.__name__, group_of(owner, item.originalname))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note what became of a test."""
        found = self._groups.get(report.nodeid)
        if found is None or (report.when != "call" and report.passed):
            return
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
        group = self.results.setdefault(found[0], {}).setdefault(found[1], [])
        group.append((report.outcome, report.nodeid.rpartition("::")[2], reason.removeprefix("Skipped: ")))

    def lines(self) -> list[str]:
        """Return the report, for people."""
        found = []
        for name, groups in self.results.items():
            found.append(name)
            # pytest takes the last base first; people read the first one first.
            for group, results in reversed(groups.items()):
                found.append(f"  {group:<24}{describe(results)}")
                found += [f"      failed: {test}" for outcome, test, _ in results if outcome == "failed"]
        return found


def group_of(tests: type, name: str) -> str:
    """Return the group that brought a test, also where a class overrides it; ``own`` for tests of its own."""
    for base in reversed(tests.__mro__):
        if name in vars(base) and vars(base).get("group"):
            return str(vars(base)["group"])
    return "own"


def describe(results: Sequence[tuple[str, str, str]]) -> str:
    """Return one line on the results of a group."""
    passed = sum(outcome == "passed" for outcome, _, _ in results)
    failed = sum(outcome == "failed" for outcome, _, _ in results)
    skipped = sorted({reason for outcome, _, reason in results if outcome == "skipped"})
    if failed:
        return f"FAILED   {failed} of {len(results)}"
    if not passed:
        return f"left out  {'; '.join(skipped)}"
    return f"passed   {passed}" + (f"   ({len(results) - passed} left out: {'; '.join(skipped)})" if skipped else "")


def main(arguments: Sequence[str]) -> int:
    """Run the tests of the files and print the report; return pytest's exit code."""
    if not arguments:
        sys.stderr.write("usage: python -m flowrunner.testing.memory_report FILE [pytest options]\n")
        return 2
    counter = GroupCounter()
    # With pytest-xdist, which a project's own settings may switch on, other processes would know the groups.
    alone = ["-n", "0"] if find_spec("xdist") else []
    code = int(pytest.main(["-q", "--no-header", *arguments, *alone], plugins=[counter]))
    sys.stdout.write("\n" + "\n".join(counter.lines()) + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
