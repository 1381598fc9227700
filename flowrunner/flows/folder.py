"""Flows from folders: loaded into memory, reloaded when files change."""

from __future__ import annotations

import dataclasses
import logging
import os
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from flowrunner.errors import FlowInvalid
from flowrunner.flows.model import Flow
from flowrunner.flows.naming import canonical_uuid, derived_id, endpoint_name_from
from flowrunner.flows.parsing import Limits
from flowrunner.flows.reading import Part, read_parts
from flowrunner.memory.forks import after_fork

logger = logging.getLogger("flowrunner")

SUFFIXES: Final = (".json", ".zip")

#: A file whose last change is this recent when it is read may change again within the clock's
#: step, so it is read again at the next look.
_CLOCK_STEP: Final = 100_000_000


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with a file of a flows folder."""

    file: str
    message: str


@dataclass(slots=True)
class _File:
    """A file as it was read: its stamp, the flows in it, what is wrong with it."""

    stamp: tuple[int, ...]
    flows: tuple[Flow, ...] = ()
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Origin:
    """Where a flow of the snapshot comes from: the file, and the id that it has there."""

    path: Path
    id: str


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """All flows at one moment. It is replaced as a whole, so a reader needs no lock."""

    found: dict[str, Flow] = field(default_factory=dict)
    flows: tuple[Flow, ...] = ()
    origins: dict[str, _Origin] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()


class FolderLibrary:
    """The flows of some folders (or single files), kept in memory.

    A change of the folder is seen within ``check_every`` seconds, or at once when a flow is asked
    for that is not known. A file that cannot be read is reported in :attr:`problems` and logged
    once; the others go on working, and so does what was last read of it.

    :param folders: folders with ``*.json`` and ``*.zip`` files, or such files.
    :param limits: how much of a file is accepted.
    :param check_every: seconds between two looks at the folder.
    """

    def __init__(
        self, folders: Iterable[str | Path], *, limits: Limits | None = None, check_every: float = 1.0
    ) -> None:
        self._folders = tuple(Path(folder).expanduser() for folder in folders)
        self._limits = limits or Limits()
        self._check_every = check_every
        self._start_in_child()
        after_fork(self._start_in_child)
        self._read: dict[Path, _File] = {}
        self._logged: set[Problem] = set()
        self._snapshot = _Snapshot()
        self._next_look = 0.0
        self.refresh()

    def _start_in_child(self) -> None:
        self._lock = threading.Lock()

    def find(self, id_or_name: str, *, look_again: bool = True) -> Flow | None:
        """Return the flow with that id (in any spelling of a UUID) or exact endpoint name, or None.

        :param look_again: look at the folders if it is not known.
        """
        if time.monotonic() >= self._next_look:
            self._look()
        flow = self._snapshot.found.get(id_or_name)
        if flow is not None:
            return flow
        canonical = canonical_uuid(id_or_name)
        wanted = canonical or id_or_name
        flow = self._snapshot.found.get(wanted) if canonical else None
        if flow is None and look_again and self._folders:
            self.refresh()
            flow = self._snapshot.found.get(wanted)
        return flow

    def flows(self) -> list[Flow]:
        """Return all flows, in the order of folders and file names."""
        if time.monotonic() >= self._next_look:
            self._look()
        return list(self._snapshot.flows)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong with files at present."""
        return self._snapshot.problems

    def raw(self, flow_id: str) -> dict[str, Any] | None:
        """Return the JSON of a flow as its file has it now, or None if it is not there."""
        origin = self._snapshot.origins.get(flow_id)
        if origin is None:
            return None
        try:
            parts = self._parts(origin.path)
        except (OSError, FlowInvalid):
            return None
        found = (part.raw for part in parts if part.flow is not None and part.flow.id == origin.id)
        raw = next(found, None)
        return None if raw is None else dict(raw)

    def refresh(self) -> None:
        """Look at the folders now and read what changed."""
        with self._lock:
            self._refresh()

    def _look(self) -> None:
        # Others may continue with what is known while one looks.
        if self._lock.acquire(blocking=False):
            try:
                self._refresh()
            finally:
                self._lock.release()

    def _refresh(self) -> None:
        listed, problems = self._list()
        changed = listed.keys() != self._read.keys()
        read: dict[Path, _File] = {}
        for path, stamp in listed.items():
            known = self._read.get(path)
            if known is not None and known.stamp == stamp:
                read[path] = known
            else:
                read[path] = self._read_file(path, stamp, known)
                changed = True
        self._read = read
        if changed or problems or not self._next_look:
            self._snapshot = _assemble(read, problems)
            self._report()
        self._next_look = time.monotonic() + self._check_every

    def _list(self) -> tuple[dict[Path, tuple[int, ...]], list[Problem]]:
        """Return the flow files there are, each with the stamp by which a change is seen."""
        listed: dict[Path, tuple[int, ...]] = {}
        problems = []
        for folder in self._folders:
            try:
                entries = _entries(folder)
            except OSError as error:
                problems.append(Problem(str(folder), f"The flows folder cannot be read: {error.strerror or error}."))
                continue
            listed.update(entries)
        return listed, problems

    def _read_file(self, path: Path, stamp: tuple[int, ...], known: _File | None) -> _File:
        if time.time_ns() - stamp[0] < _CLOCK_STEP:
            stamp = (0, *stamp[1:])
        try:
            parts = self._parts(path)
        except (OSError, FlowInvalid) as error:
            parts = [Part(path.stem, {}, error=FlowInvalid(str(error)))]
        flows = tuple(part.flow for part in parts if part.flow is not None)
        problems = tuple(part.error.message for part in parts if part.error is not None)
        if problems and not flows and known is not None and known.flows:
            return _File(stamp, known.flows, (*problems, "The version read before stays in use."))
        return _File(stamp, flows, problems)

    def _parts(self, path: Path) -> list[Part]:
        size = path.stat().st_size
        if size > self._limits.max_bytes:
            raise FlowInvalid(f"The file has {size} bytes; at most {self._limits.max_bytes} are accepted.")
        return read_parts(path.read_bytes(), name_hint=path.stem, endpoint_hint=path.stem, limits=self._limits)

    def _report(self) -> None:
        current = set(self._snapshot.problems)
        for problem in self._snapshot.problems:
            if problem not in self._logged:
                logger.warning("%s: %s", problem.file, problem.message)
        self._logged = current


def _entries(folder: Path) -> dict[Path, tuple[int, ...]]:
    if folder.is_file():
        return {folder: _stamp(folder.stat())}
    with os.scandir(folder) as scanned:
        found = sorted(
            (entry for entry in scanned if entry.name.endswith(SUFFIXES) and not entry.name.startswith(".")),
            key=lambda entry: entry.name,
        )
    entries = {}
    for entry in found:
        try:
            if entry.is_file():
                entries[Path(entry.path)] = _stamp(entry.stat())
        except OSError:
            # It vanished since the folder was listed.
            continue
    return entries


def _stamp(stat: os.stat_result) -> tuple[int, ...]:
    return (stat.st_mtime_ns, stat.st_size, stat.st_ino)


def _assemble(read: dict[Path, _File], problems: list[Problem]) -> _Snapshot:
    """Make the index of all flows; of two with one id or endpoint name, the first file has it."""
    found: dict[str, Flow] = {}
    flows: list[Flow] = []
    origins: dict[str, _Origin] = {}
    problems = list(problems)
    for path, file in read.items():
        problems += [Problem(str(path), message) for message in file.problems]
        for read_flow in file.flows:
            flow, remarks = _with_free_names(read_flow, path, found, origins)
            problems += [Problem(str(path), remark) for remark in remarks]
            if flow.id in origins:
                continue
            origins[flow.id] = _Origin(path, read_flow.id)
            found[flow.id] = flow
            if flow.endpoint_name is not None:
                found[flow.endpoint_name] = flow
            flows.append(flow)
    return _Snapshot(found, tuple(flows), origins, tuple(problems))


def _with_free_names(
    flow: Flow, path: Path, found: dict[str, Flow], origins: dict[str, _Origin]
) -> tuple[Flow, list[str]]:
    """Return the flow with an id and an endpoint name that are free, and what had to be changed for it."""
    remarks = []
    name = flow.endpoint_name or endpoint_name_from(flow.name)
    if name is not None and (name in found or canonical_uuid(name) is not None):
        other = origins[found[name].id].path.name if name in found else "the ids of flows"
        remarks.append(
            f"The endpoint name {name!r} is taken by {other}; the flow {flow.name!r} is found by its id only."
        )
        name = None
    flow_id = flow.id
    if flow_id in origins:
        # A copy of a file keeps the id of the original; what it gets instead depends on nothing else.
        flow_id = derived_id(f"{flow.id}/{path.name}/{flow.name}")
        other = origins[flow.id].path.name
        remarks.append(
            f"The flow {flow.name!r} has the same id as one in {other}; it is served as {flow_id} until it has its own."
        )
    return dataclasses.replace(flow, id=flow_id, endpoint_name=name), remarks
