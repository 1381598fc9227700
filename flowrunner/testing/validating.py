"""Run the memory kit from Python, and return its results as a report."""

from __future__ import annotations

import contextlib
import inspect
import io
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from flowrunner.memory import MemoryBackend
from flowrunner.memory.message import new_id

if TYPE_CHECKING:
    from flowrunner.testing.memory_results import Result

#: The claims of a backend, and the group that tests each.
LEVELS: Final = {
    "shared": "processes",
    "durable": "crashes",
    "session_lock": "session locks",
    "failing writes": "failing writes",
}

_INI: Final = "[pytest]\naddopts = --import-mode=importlib\n"
_FILE: Final = "from {module} import make\n\nTestBackend = make()\n"


@dataclass(frozen=True)
class GroupReport:
    """The results of a group of tests."""

    name: str
    passed: int
    failed: int
    left_out: int
    seconds: float


@dataclass(frozen=True)
class Failure:
    """A failed test: its group, the sentence of the contract that is broken, and the failure."""

    test: str
    group: str
    sentence: str
    text: str


@dataclass(frozen=True)
class KitReport:
    """The report on a backend.

    ``levels`` says for the contract and each further claim (``shared``, ``durable``, ``session_lock``, ``failing
    writes``) whether it is ``kept``, ``kept in part``, ``broken`` or ``not tried``. ``missing`` has a sentence for
    each thing that was skipped. ``slowest`` are the slowest tests, with their duration in seconds.
    """

    kit_version: int
    levels: dict[str, str]
    groups: tuple[GroupReport, ...]
    missing: tuple[str, ...]
    failures: tuple[Failure, ...]
    slowest: tuple[tuple[str, float], ...]
    seconds: float
    #: The output of pytest, for the case that no test could be run.
    output: str = ""

    @property
    def passed(self) -> bool:
        """Whether tests were run and none failed."""
        return not self.failures and any(group.passed for group in self.groups)

    def to_record(self) -> dict[str, Any]:
        """Return the report as a JSON object."""
        return {"passed": self.passed, **asdict(self)}

    def text(self) -> str:
        """Return the report as text."""
        lines = [f"memory kit {self.kit_version}: {'passed' if self.passed else 'FAILED'} in {self.seconds:.1f} s", ""]
        lines += [f"{name:<16}{verdict}" for name, verdict in self.levels.items()]
        lines += ["", f"{'group':<28}{'passed':>7}{'failed':>7}{'left out':>9}{'seconds':>8}"]
        lines += [f"{g.name:<28}{g.passed:>7}{g.failed:>7}{g.left_out:>9}{g.seconds:>8.1f}" for g in self.groups]
        for failure in self.failures:
            lines += ["", f"FAILED {failure.test} ({failure.group})", f"  the contract says: {failure.sentence}"]
            shown = [
                line for line in failure.text.splitlines() if line.startswith("E ") and "The contract of" not in line
            ]
            lines += [f"  {line}" for line in shown]
        if self.missing:
            lines += ["", "missing"]
            lines += [f"  {sentence}" for sentence in self.missing]
        if self.slowest:
            lines += ["", "slowest"]
            lines += [f"  {seconds:6.2f} s  {test}" for test, seconds in self.slowest]
        if not any(group.passed or group.failed for group in self.groups):
            lines += ["", "No test was run. pytest said:", self.output]
        return "\n".join(lines) + "\n"


def validate(
    open_backend: Callable[[Path], MemoryBackend],
    *,
    open_again: Callable[[Path], MemoryBackend] | None = None,
    break_writes: Callable[[MemoryBackend], AbstractContextManager[None]] | None = None,
    crash_store: Callable[[Path], None] | None = None,
    clear_store: Callable[[Path], None] | None = None,
    only: Sequence[str] = (),
    **attributes: Any,
) -> KitReport:
    """Test a backend against the whole contract, and return a report.

    The functions correspond to the methods of a test class with the same names. Groups with other processes find
    ``open_backend`` by file and name: define it at the top level of a file, and call ``validate`` under ``if __name__
    == "__main__":`` or in a function.

    :param open_backend: opens the backend in an empty folder, or in one that an earlier backend used.
    :param only: names of groups; empty means all.
    :param attributes: attributes of the class of tests, such as ``lock_lease``, ``kit_version`` or ``kills``.
    :raises TypeError: for an attribute that test classes do not have.
    :raises ValueError: for an unknown group.
    """
    if getattr(sys.modules["__main__"].__spec__, "name", "") == "flowrunner.testing.memory.worker":
        raise RuntimeError('validate() is called on import; put it under if __name__ == "__main__":')
    given: dict[str, Any] = {"open_backend": open_backend, "open_again": open_again, "break_writes": break_writes}
    given |= {"crash_store": crash_store, "clear_store": clear_store}
    body: dict[str, Any] = {name: staticmethod(value) for name, value in given.items() if value is not None}
    body["where"] = staticmethod(lambda: place_of(open_again or open_backend))
    return _run(lambda: _make_class(only, body, attributes))


def _make_class(only: Sequence[str], body: dict[str, Any], attributes: dict[str, Any]) -> type:
    """Return the test class; called after the start of pytest, so that assertions show their values."""
    from flowrunner.testing.memory_contract import MemoryBackendContract

    groups: dict[str, type] = {
        vars(base)["group"]: base for base in MemoryBackendContract.__mro__ if vars(base).get("group")
    }
    unknown = [name for name in attributes if name.startswith("_") or not hasattr(MemoryBackendContract, name)]
    if unknown:
        raise TypeError(f"a test class has no attribute {', '.join(unknown)}")
    strange = [name for name in only if name not in groups]
    if strange:
        raise ValueError(f"the kit has no group {', '.join(strange)}; it has {', '.join(reversed(groups))}")
    bases = tuple(base for name, base in groups.items() if name in only) or (MemoryBackendContract,)
    return type("TestBackend", bases, {**body, **attributes, "__module__": __name__})


def validate_file(target: str, options: Sequence[str] = ()) -> KitReport:
    """Run the test classes in a file, ``FILE`` or ``FILE::CLASS``, with their fixtures."""
    return _report([target, *options])


def place_of(function: Callable[..., Any]) -> tuple[str, str] | None:
    """Return the file and the name of a function for other processes; None if they cannot find it."""
    name = getattr(function, "__qualname__", "<")
    file = inspect.getsourcefile(function) if inspect.isfunction(function) else None
    return None if file is None or "<" in name else (str(Path(file).resolve()), name)


def _run(make_class: Callable[[], type]) -> KitReport:
    # pytest caches modules by name, and a second call has other tests.
    name = f"flowrunner_kit_{new_id().replace('-', '')}"
    mistakes: list[Exception] = []

    def make() -> type:
        try:
            return make_class()
        except (TypeError, ValueError) as error:
            mistakes.append(error)
            raise

    module = ModuleType(name)
    module.make = make  # type: ignore[attr-defined]
    sys.modules[name] = module
    try:
        with tempfile.TemporaryDirectory(prefix="flowrunner-kit-") as folder:
            (Path(folder) / "pytest.ini").write_text(_INI)
            file = Path(folder) / f"test_{name}.py"
            file.write_text(_FILE.format(module=name))
            report = _report([str(file), "-c", str(Path(folder) / "pytest.ini"), f"--basetemp={folder}/work"])
    finally:
        for known in (name, f"test_{name}"):
            sys.modules.pop(known, None)
    if mistakes:
        raise mistakes[0]
    return report


def _report(arguments: Sequence[str]) -> KitReport:
    import pytest

    from flowrunner.testing.memory_results import Results

    results, output, start = Results(), io.StringIO(), time.monotonic()
    alone = ["-n", "0"] if _has_xdist() else []
    command = ["-q", "--no-header", "--tb=short", "-p", "no:cacheprovider", "-p", "no:faulthandler", *arguments, *alone]
    with contextlib.redirect_stdout(output), _plain_environment():
        pytest.main(command, plugins=[results])
    from flowrunner.testing.memory.promises import KIT_VERSION

    groups: dict[str, list[Result]] = {}
    for found in results.classes.values():
        for name, tests in found.items():
            groups.setdefault(name, []).extend(tests)
    every = [one for tests in groups.values() for one in tests]
    longest = sorted(every, key=lambda one: one.seconds, reverse=True)[:5]
    return KitReport(
        kit_version=results.kit_version or KIT_VERSION,
        levels=_levels(groups),
        groups=tuple(_group(name, tests) for name, tests in groups.items()),
        missing=_missing(groups),
        failures=tuple(
            Failure(one.test, name, one.sentence, one.reason)
            for name, tests in groups.items()
            for one in tests
            if one.outcome == "failed"
        ),
        slowest=tuple((one.test, round(one.seconds, 2)) for one in longest),
        seconds=round(time.monotonic() - start, 2),
        output=output.getvalue(),
    )


def _group(name: str, tests: Sequence[Result]) -> GroupReport:
    count = {outcome: sum(one.outcome == outcome for one in tests) for outcome in ("passed", "failed", "skipped")}
    seconds = round(sum(one.seconds for one in tests), 2)
    return GroupReport(name, count["passed"], count["failed"], count["skipped"], seconds)


def _levels(groups: dict[str, list[Result]]) -> dict[str, str]:
    base = [one for name, tests in groups.items() if name not in LEVELS.values() for one in tests]
    found = {"contract": _verdict(base)}
    return found | {level: _verdict(groups.get(name, [])) for level, name in LEVELS.items()}


def _verdict(tests: Sequence[Result]) -> str:
    failed = [one for one in tests if one.outcome == "failed"]
    reasons = sorted({one.reason for one in tests if one.outcome == "skipped"})
    if failed:
        return f"broken: {len(failed)} of {len(tests)} tests fail"
    if not any(one.outcome == "passed" for one in tests):
        return "not tried" + (f": {'; '.join(reasons)}" if reasons else "")
    return "kept" + (f" in part: {'; '.join(reasons)}" if reasons else "")


def _missing(groups: dict[str, list[Result]]) -> tuple[str, ...]:
    reasons: dict[str, list[str]] = {}
    for name, tests in groups.items():
        for one in tests:
            if one.outcome == "skipped":
                reasons.setdefault(f"{name}: {one.reason}", []).append(one.test)
    return tuple(f"{reason} ({len(tests)} tests)" for reason, tests in reasons.items())


def _has_xdist() -> bool:
    from importlib.util import find_spec

    return find_spec("xdist") is not None and not os.environ.get("PYTEST_DISABLE_PLUGIN_AUTOLOAD")


@contextlib.contextmanager
def _plain_environment() -> Iterator[None]:
    """Ignore options meant for the caller's own run of pytest."""
    kept = {name: os.environ.pop(name) for name in ("PYTEST_ADDOPTS",) if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(kept)
