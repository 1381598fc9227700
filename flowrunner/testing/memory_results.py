"""Results of the memory kit, counted by class and group."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest


@dataclass(frozen=True)
class Result:
    """The result of one test.

    ``outcome`` is ``passed``, ``failed`` or ``skipped``; ``reason`` says why it was skipped or how it failed;
    ``sentence`` is the sentence of the contract.
    """

    test: str
    outcome: str
    seconds: float
    reason: str = ""
    sentence: str = ""


@dataclass
class Results:
    """A pytest plugin that collects the results of memory kits, by class and group, in order."""

    classes: dict[str, dict[str, list[Result]]] = field(default_factory=dict)
    #: The version of the kit that each class is pinned to.
    kit_version: int | None = None
    _places: dict[str, tuple[str, str, str]] = field(default_factory=dict)

    def pytest_configure(self) -> None:
        """Let pytest rewrite the kit's assertions, unless the modules were imported before."""
        if "flowrunner.testing.memory.opening" not in sys.modules:
            pytest.register_assert_rewrite("flowrunner.testing.memory")

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        """Record the class, group and sentence of each test."""
        # Imported here, since pytest rewrites assertions only in modules imported after its start.
        from flowrunner.testing.memory.opening import BackendTests
        from flowrunner.testing.memory.promises import sentence_of

        for item in items:
            owner = getattr(item, "cls", None)
            if owner is not None and issubclass(owner, BackendTests):
                group = group_of(owner, item.originalname)
                self.kit_version = owner.kit_version
                self._places[item.nodeid] = (owner.__name__, group, sentence_of(item.function))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Record the result of a test."""
        found = self._places.get(report.nodeid)
        if found is None or (report.when != "call" and report.passed):
            return
        name, group, sentence = found
        test = report.nodeid.rpartition("::")[2] if "[" not in report.nodeid else _with_case(report.nodeid)
        results = self.classes.setdefault(name, {}).setdefault(group, [])
        results.append(Result(test, report.outcome, report.duration, _reason(report), sentence))


def group_of(tests: type, name: str) -> str:
    """Return the group of a test, also if the class overrides it; ``own`` for tests of the class itself."""
    for base in reversed(tests.__mro__):
        if name in vars(base) and vars(base).get("group"):
            return str(vars(base)["group"])
    return "own"


def describe(results: Sequence[Result]) -> str:
    """Return one line on the results of a group."""
    passed = sum(one.outcome == "passed" for one in results)
    failed = sum(one.outcome == "failed" for one in results)
    skipped = sorted({one.reason for one in results if one.outcome == "skipped"})
    if failed:
        return f"FAILED   {failed} of {len(results)}"
    if not passed:
        return f"left out  {'; '.join(skipped)}"
    return f"passed   {passed}" + (f"   ({len(results) - passed} left out: {'; '.join(skipped)})" if skipped else "")


def _with_case(nodeid: str) -> str:
    """Return the name of a test with its case, which may contain ``::``."""
    name, bracket, case = nodeid.partition("[")
    return name.rpartition("::")[2] + bracket + case


def _reason(report: pytest.TestReport) -> str:
    if isinstance(report.longrepr, tuple):
        return str(report.longrepr[2]).removeprefix("Skipped: ")
    return report.longreprtext if report.failed else ""
