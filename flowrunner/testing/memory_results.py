"""Results of the memory kit, counted by class and group."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest


@dataclass(frozen=True)
class Result:
    """What became of one test.

    ``outcome`` is ``passed``, ``failed`` or ``skipped``; ``reason`` says why it was left out or how
    it failed; ``sentence`` is what the contract says.
    """

    test: str
    outcome: str
    seconds: float
    reason: str = ""
    sentence: str = ""


@dataclass
class Results:
    """A pytest plugin that takes down the results of all kits of memory backends: by class, by group, in order."""

    classes: dict[str, dict[str, list[Result]]] = field(default_factory=dict)
    #: The version of the kit that a class is pinned to.
    kit_version: int | None = None
    _places: dict[str, tuple[str, str, str]] = field(default_factory=dict)

    def pytest_configure(self) -> None:
        """Let the kit's assertions show their values, where nothing has imported them yet."""
        if "flowrunner.testing.memory.opening" not in sys.modules:
            pytest.register_assert_rewrite("flowrunner.testing.memory")

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        """Note to which class and group each test belongs, and which sentence it is there for."""
        # Imported before pytest has begun, the kit would lose what pytest adds to its assertions.
        from flowrunner.testing.memory.opening import BackendTests
        from flowrunner.testing.memory.promises import sentence_of

        for item in items:
            owner = getattr(item, "cls", None)
            if owner is not None and issubclass(owner, BackendTests):
                group = group_of(owner, item.originalname)
                self.kit_version = owner.kit_version
                self._places[item.nodeid] = (owner.__name__, group, sentence_of(item.function))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note what became of a test."""
        found = self._places.get(report.nodeid)
        if found is None or (report.when != "call" and report.passed):
            return
        name, group, sentence = found
        test = report.nodeid.rpartition("::")[2] if "[" not in report.nodeid else _with_case(report.nodeid)
        results = self.classes.setdefault(name, {}).setdefault(group, [])
        results.append(Result(test, report.outcome, report.duration, _reason(report), sentence))


def group_of(tests: type, name: str) -> str:
    """Return the group that brought a test, also where a class overrides it; ``own`` for tests of its own."""
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
    """Return the name of a test with its case, which may have ``::`` in it."""
    name, bracket, case = nodeid.partition("[")
    return name.rpartition("::")[2] + bracket + case


def _reason(report: pytest.TestReport) -> str:
    if isinstance(report.longrepr, tuple):
        return str(report.longrepr[2]).removeprefix("Skipped: ")
    return report.longreprtext if report.failed else ""
