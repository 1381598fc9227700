"""A session file: its contents, and how messages are appended."""

from __future__ import annotations

import contextlib
import json
import logging
import re
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from flowrunner import MemoryFailed, Message, MessageChanges
from flowrunner_file_json.files import append_bytes
from flowrunner_file_json.records import (
    delete_record,
    edit_record,
    encode_lines,
    header_line,
    message_records,
    to_changes,
    to_message,
)

logger = logging.getLogger("flowrunner")

_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_-]+")
_SUFFIX: Final = ".jsonl"
#: A file with fewer records than this is never worth writing anew.
_SMALL: Final = 64

Row = tuple[int, Message]

_KINDS: Final = ("version", "message", "edit", "delete")


class Damaged(MemoryFailed):
    """A session's file says something that nobody wrote, or no longer what somebody did.

    Other sessions are not concerned. The message is for clients; ``told`` names file, line and remedy.
    """

    def __init__(self, path: Path, line: int, what: str) -> None:
        super().__init__("The file of this conversation is damaged; the log of the server says where, and what to do.")
        self.line = line
        where = f"{path}, line {line}" if line else str(path)
        self.told = (
            f"The file {where}, is damaged: {what}. Its other messages are kept, and other sessions are not concerned."
            " Bring the file back from a backup; or stop the server and type flowrunner memory mend, which sets it"
            " aside and keeps what can be read."
        )


def digest_of(owner: str, session_id: str) -> str:
    """Return what tells the session of an owner from all others."""
    return sha256(json.dumps([owner, session_id]).encode()).hexdigest()


def file_name(owner: str, session_id: str) -> str:
    """Return the name of a session's file: something for people to read, and the digest.

    Ids come from clients, so nothing of them gets into the name but letters, digits, ``_`` and ``-``.
    """
    prefix = _UNSAFE.sub("-", session_id[:40]).strip("-")[:24]
    digest = digest_of(owner, session_id)
    return f"{prefix}-{digest}{_SUFFIX}" if prefix else digest + _SUFFIX


class SessionFile:
    """The messages of one session, as its file had them when it was last looked at.

    ``rows`` holds place and message by id, in order of append. Whoever uses it holds the store's lock.
    """

    def __init__(self, folder: Path, owner: str, session_id: str) -> None:
        self.owner = owner
        self.session_id = session_id
        self.path = folder / file_name(owner, session_id)
        self.rows: dict[str, Row] = {}
        self._size = 0
        self._records = 0

    @property
    def size(self) -> int:
        """How many bytes of the file have been taken in."""
        return self._size

    @property
    def last_seq(self) -> int:
        """The place of the newest message; 0 if there is none."""
        return self.rows[next(reversed(self.rows))][0] if self.rows else 0

    def read(self) -> None:
        """Take in what the file has got since the last time.

        A last line that was cut off, or a group of records that is not complete, is what a process
        left that died while it wrote: it was acknowledged to nobody. It is cut off and logged.

        :raises MemoryFailed: if a line within the file cannot be read.
        """
        try:
            size = self.path.stat().st_size
        except FileNotFoundError:
            size = 0
        if size < self._size:
            # Who writes a file anew says so first, and then nothing is known of it any more.
            raise Damaged(self.path, 0, f"it has {size} bytes and had {self._size}")
        if size == self._size:
            return
        with self.path.open("rb") as file:
            file.seek(self._size)
            content = file.read()
        end = self._take_lines(content)
        if end < len(content):
            self._heal(len(content) - end)

    def forget(self) -> None:
        """Forget what was read: the file has been written anew."""
        self.rows = {}
        self._size = self._records = 0

    def append(self, rows: Sequence[Row]) -> bytes:
        """Return the lines that :meth:`write` adds for new messages."""
        return self._with_header(encode_lines(message_records(rows), together=True))

    def edit(self, ids: Sequence[str], changes: MessageChanges) -> bytes:
        """Return the line that :meth:`write` adds for an edit."""
        return encode_lines([edit_record(ids, changes)])

    def delete(self, ids: Sequence[str]) -> bytes:
        """Return the line that :meth:`write` adds for a deletion."""
        return encode_lines([delete_record(ids)])

    def write(self, lines: bytes) -> None:
        """Add lines to the file, wait until they are on disk, and take them in.

        :raises OSError: if that fails; the file is then as it was.
        """
        append_bytes(self.path, lines, sync=True)
        self._take_lines(lines)

    def content(self, rows: Sequence[Row]) -> bytes:
        """Return a whole file with these messages and nothing else."""
        return header_line(self.owner, self.session_id) + encode_lines(message_records(rows))

    def is_half_garbage(self) -> bool:
        """Say whether more than half of the records have been overtaken by later ones."""
        return self._records > _SMALL and self._records > 2 * len(self.rows)

    def _with_header(self, lines: bytes) -> bytes:
        return lines if self._size else header_line(self.owner, self.session_id) + lines

    def _take_lines(self, content: bytes) -> int:
        """Take in complete groups of lines; return how many bytes that were."""
        end = position = 0
        group: list[Mapping[str, Any]] = []
        while (stop := content.find(b"\n", position)) >= 0:
            record = self._parse(content[position:stop], content, position)
            position = stop + 1
            group.append(record)
            if record.get("more"):
                continue
            for complete in group:
                try:
                    self._take_record(complete)
                except (LookupError, TypeError, ValueError, AttributeError) as error:
                    line = self._line(content, position - 1)
                    raise Damaged(self.path, line, f"a record lacks what it needs ({type(error).__name__})") from error
            group = []
            end = position
        self._size += end
        return end

    def _parse(self, line: bytes, content: bytes, position: int) -> Mapping[str, Any]:
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise Damaged(self.path, self._line(content, position), "the line is no JSON") from error
        if not isinstance(record, dict) or not any(kind in record for kind in _KINDS):
            raise Damaged(self.path, self._line(content, position), "the line is no record")
        return record

    def _line(self, content: bytes, position: int) -> int:
        """Return the number of the line at a place in what was read last."""
        before = 0
        if self._size:
            with self.path.open("rb") as file:
                before = file.read(self._size).count(b"\n")
        return before + content.count(b"\n", 0, position) + 1

    def _take_record(self, record: Mapping[str, Any]) -> None:
        if "version" in record:
            return
        self._records += 1
        if "message" in record:
            message = to_message(record["message"], self.owner, self.session_id)
            self.rows[str(message.id)] = (record["seq"], message)
        for name in record.get("edit", ()):
            if name in self.rows:
                seq, message = self.rows[name]
                self.rows[name] = (seq, message.replace(**to_changes(record["changes"])))
        for name in record.get("delete", ()):
            self.rows.pop(name, None)

    def _heal(self, surplus: int) -> None:
        logger.warning(
            "The file %s ends within a record, as a process leaves it that dies while it writes; %d bytes that"
            " nobody was told of are cut off.",
            self.path,
            surplus,
        )
        with self.path.open("r+b") as file:
            file.truncate(self._size)


def salvage(path: Path) -> bytes:
    """Return those lines of a damaged file, from its header on, that can be read; nothing if it has no header."""
    header = None
    with contextlib.suppress(ValueError, KeyError, TypeError):
        header = read_header(path)
    if header is None:
        return b""
    lines = path.read_bytes().splitlines(keepends=True)
    kept = lines[:1]
    for line in lines[1:]:
        trial = SessionFile(path.parent, *header)
        # Each by itself: a record that belongs to one that is lost must not wait for it.
        record = None
        with contextlib.suppress(ValueError, RecursionError):
            record = json.loads(line) if line.endswith(b"\n") else None
        if not isinstance(record, dict) or not any(kind in record for kind in _KINDS):
            continue
        record.pop("more", None)
        with contextlib.suppress(LookupError, TypeError, ValueError, AttributeError):
            trial._take_record(record)
            kept.append(encode_lines([record]))
    return b"".join(kept)


def read_header(path: Path) -> tuple[str, str] | None:
    """Return owner and session id of a file, or None if it has not even a whole first line."""
    with path.open("rb") as file:
        line = file.readline()
    if not line.endswith(b"\n"):
        return None
    record = json.loads(line)
    return record["owner"], record["session"]
