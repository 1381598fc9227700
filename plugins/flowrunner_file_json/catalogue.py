"""The catalogue of sessions: an append-only log of which exist and when they were last active.

A line is written before the change that it announces. So a process that reads the lines it has not
seen knows every session that may have changed; whether and how it did, the session's file says.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from flowrunner import EVERY_OWNER, Owner
from flowrunner_file_json.files import append_bytes, replace_file, set_aside

_SLACK: Final = 1000
#: What reading a line raises that is none of ours.
UNREADABLE: Final = (ValueError, LookupError, TypeError, AttributeError, RecursionError)


class CatalogueBroken(Exception):
    """The log cannot be used. It can be rebuilt from the sessions' files, by whoever holds the lock."""

    def __init__(self, path: Path, what: str) -> None:
        super().__init__(f"{path}: {what}")


@dataclass(slots=True)
class Entry:
    """What is known of a session without looking into its file.

    ``newest`` is the place of its newest message or more; it is exactly that if ``exact``.
    ``flows`` are the flows of its messages, or more. ``size`` is how many bytes its file has at least.
    """

    digest: str
    owner: str
    session_id: str
    newest: int = 0
    exact: bool = False
    size: int = 0
    flows: set[str | None] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Change:
    """A change of a session that is about to be made."""

    digest: str
    owner: str
    session_id: str
    newest: int
    flows: tuple[str | None, ...]
    rewritten: bool = False
    size: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return it as a line of the log holds it."""
        found: dict[str, Any] = {"file": self.digest, "owner": self.owner, "session": self.session_id}
        found |= {"newest": self.newest, "flows": list(self.flows), "size": self.size}
        return {**found, "rewritten": True} if self.rewritten else found


class Catalogue:
    """The sessions of a store, by digest. Whoever uses it holds the store's lock."""

    def __init__(self, path: Path, *, boot: str, sync: bool) -> None:
        self.path = path
        self._boot = boot
        self._sync = sync
        self._file: Any = None
        self._offset = 0
        self._lines = 0
        self._sorted = True
        self.last_seq = 0
        self.entries: dict[str, Entry] = {}

    def is_trustworthy(self) -> bool:
        """Return whether the log is there and was written since the machine started.

        It is not waited for to be on disk, so after a loss of power it may lack what the files have.
        """
        try:
            with self.path.open("rb") as file:
                return bool(json.loads(file.readline())["boot"] == self._boot)
        except (FileNotFoundError, IsADirectoryError, *UNREADABLE):
            return False

    def read(self) -> tuple[list[Change], bool]:
        """Take in new lines; return the changes they announce, and whether the whole log is a new one.

        :raises CatalogueBroken: if it is not there, or is not what was written.
        """
        try:
            anew = self._reopen()
            if self._file.seek(0, os.SEEK_END) < self._offset:
                raise CatalogueBroken(self.path, "it has become shorter")
            self._file.seek(self._offset)
            content = self._file.read()
        except (FileNotFoundError, IsADirectoryError) as error:
            raise CatalogueBroken(self.path, "it is not there") from error
        end = content.rfind(b"\n") + 1
        changes = []
        for line in content[:end].splitlines():
            try:
                record = json.loads(line)
                if "file" in record:
                    changes.append(_parse(record))
                    self._take(changes[-1])
                else:
                    self.last_seq = max(self.last_seq, record["last"])
            except UNREADABLE as error:
                raise CatalogueBroken(self.path, "a line of it cannot be read") from error
        self._offset += end
        return changes, anew

    def sizes(self) -> dict[str, Change]:
        """Return the last change of each session that can be read of the log, whoever wrote it, and when.

        It says how much a session's file had at least, for each file is on disk before the next change is announced.
        """
        found = {}
        with contextlib.suppress(OSError):
            for line in self.path.read_bytes().splitlines():
                with contextlib.suppress(*UNREADABLE):
                    change = _parse(json.loads(line))
                    found[change.digest] = change
        return found

    def announce(self, changes: Iterable[Change]) -> None:
        """Write that sessions are about to change.

        :raises OSError: if that fails; nothing is then announced.
        """
        told = list(changes)
        self._heal()
        lines = b"".join(json.dumps(change.to_json()).encode() + b"\n" for change in told)
        append_bytes(self.path, lines, sync=self._sync)
        self._offset += len(lines)
        for change in told:
            self._take(change)

    def write_anew(self, entries: Iterable[Entry]) -> None:
        """Write the log again with these sessions only."""
        if self.path.is_dir():
            set_aside(self.path)
        kept = sorted(entries, key=lambda entry: entry.newest)
        lines: list[dict[str, Any]] = [{"version": 1, "boot": self._boot, "last": self.last_seq}]
        lines += [
            Change(e.digest, e.owner, e.session_id, e.newest, tuple(e.flows), size=e.size).to_json() for e in kept
        ]
        replace_file(self.path, b"".join(json.dumps(line).encode() + b"\n" for line in lines))

    def is_long(self) -> bool:
        """Return whether most lines of the log have been overtaken by later ones."""
        return self._lines > 4 * len(self.entries) + _SLACK

    def by_activity(self, owner: Owner) -> Iterator[Entry]:
        """Go through the sessions of an owner, those first that may have been active last."""
        if not self._sorted:
            self.entries = dict(sorted(self.entries.items(), key=lambda item: item[1].newest))
            self._sorted = True
        return (entry for entry in reversed(self.entries.values()) if owner in (entry.owner, EVERY_OWNER))

    def of_session(self, session_id: str) -> list[Entry]:
        """Return the sessions of that id, of whichever owner."""
        return [entry for entry in self.entries.values() if entry.session_id == session_id]

    def set_newest(self, entry: Entry, newest: int) -> None:
        """Take down the place of the newest message, as the session's file has it."""
        if entry.newest != newest:
            self._sorted = False
        entry.newest, entry.exact = newest, True

    def close(self) -> None:
        """Close the log; the next read opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _reopen(self) -> bool:
        """Open the log, or the one that has taken its place; say whether it is another one than before."""
        if self._file is not None:
            # The open file keeps its number from being given to another one.
            here, there = os.fstat(self._file.fileno()), self.path.stat()
            if (here.st_ino, here.st_dev) == (there.st_ino, there.st_dev):
                return False
            self._file.close()
            self._file = None
        self._file = self.path.open("rb", buffering=0)
        self._offset = self._lines = 0
        self.entries = {}
        self._sorted = True
        return True

    def _take(self, change: Change) -> None:
        self._lines += 1
        entry = self.entries.pop(change.digest, None)
        if entry is None:
            entry = Entry(change.digest, change.owner, change.session_id)
        if change.newest < self.last_seq:
            self._sorted = False
        self.last_seq = max(self.last_seq, change.newest)
        entry.newest = max(entry.newest, change.newest)
        entry.exact = False
        entry.size = change.size
        entry.flows.update(change.flows)
        self.entries[change.digest] = entry

    def _heal(self) -> None:
        """Cut off half a line that a process left which died while it wrote."""
        if self.path.stat().st_size > self._offset:
            with self.path.open("r+b") as file:
                file.truncate(self._offset)


def _parse(record: Mapping[str, Any]) -> Change:
    texts, numbers = ("file", "owner", "session"), (record["newest"], record.get("size", 0))
    if any(type(record[name]) is not str for name in texts) or any(type(number) is not int for number in numbers):
        raise ValueError("no change of a session")
    return Change(
        record["file"],
        record["owner"],
        record["session"],
        record["newest"],
        tuple(record["flows"]),
        record.get("rewritten", False),
        record.get("size", 0),
    )
