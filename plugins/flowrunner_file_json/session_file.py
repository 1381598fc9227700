"""A session file: its contents, and how messages are appended."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import logging
import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO, Final

from flowrunner import MemoryFailed, Message, MessageChanges, MessageInvalid
from flowrunner_file_json.files import append_bytes
from flowrunner_file_json.records import (
    LONGEST_READ,
    VERSION,
    RecordInvalid,
    check_edited,
    delete_records,
    edit_records,
    encode_lines,
    header_line,
    message_records,
    to_changes,
    to_message,
    to_seq,
)

logger = logging.getLogger("flowrunner")

_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_-]+")
_SUFFIX: Final = ".jsonl"
#: A file with fewer records than this is never worth writing again.
_SMALL: Final = 64

Row = tuple[int, Message]

#: What goes wrong with one file and says nothing of the others.
_OF_THE_FILE: Final = (errno.EACCES, errno.EPERM, errno.EISDIR, errno.ELOOP, errno.EIO)
_LONGEST_HEADER: Final = 1_000_000
#: Bytes that are read at a time where only lines are counted or passed over.
_PART: Final = 1024 * 1024

_KINDS: Final = ("version", "message", "edit", "delete")


#: What is said of a file whose version is not known here.
_FOREIGN: Final = "a release of flowrunner wrote it that is not this"
#: How many characters of a file's name tell its session.
DIGEST: Final = 64


class Damaged(MemoryFailed):
    """A session's file says something that nobody wrote, or no longer what somebody did.

    Other sessions are not concerned. The message is for clients; ``told`` names file, line and remedy.
    """

    def __init__(self, path: Path, line: int, what: str) -> None:
        super().__init__("The file of this conversation is damaged; the server log says where and what to do.")
        self.path, self.line = path, line
        where = f"{path}, line {line}" if line else str(path)
        self.what = f"The file {where}, is damaged: {what}"
        #: It is not damaged at all, but of another release, which can read it.
        self.is_foreign = what == _FOREIGN
        self.told = (
            f"{self.what}. Its other messages and other sessions are not affected. Restore the"
            " file from a backup, or stop the server and run flowrunner memory mend, which sets the file aside and"
            " keeps what is readable."
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

    def read(self, least: int = 0) -> None:
        """Take in what the file has got since the last time.

        A last line that was cut off, or a group of records that is not complete, is what a process
        left that died while it wrote: it was acknowledged to nobody. It is cut off and logged.

        :param least: how many bytes are known to have been on disk.
        :raises Damaged: if a line within the file cannot be read, if the file has lost something, or cannot be read.
        """
        try:
            size = self._size_on_disk()
            if size != self._size:
                self._read(size, least)
        except OSError as error:
            # If it is the folder that cannot be used, it is not this file that is damaged.
            if error.errno not in _OF_THE_FILE or not os.access(self.path.parent, os.R_OK | os.X_OK):
                raise
            raise Damaged(self.path, 0, f"it cannot be read ({error.strerror})") from error
        if self._size < least:
            raise Damaged(self.path, 0, f"it has {self._size} bytes and had {least} at least")

    def _size_on_disk(self) -> int:
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return 0
        if not stat.S_ISREG(found.st_mode):
            raise Damaged(self.path, 0, "it is no file")
        return found.st_size

    def _read(self, size: int, least: int) -> None:
        if size < self._size:
            # Who writes a file again says so first, and then nothing is known of it any more.
            raise Damaged(self.path, 0, f"it has {size} bytes and had {self._size}")
        with self.path.open("rb") as file:
            file.seek(self._size)
            surplus = self._take_lines(file)
        if surplus and self._size >= least:
            self._heal(surplus)

    def forget(self) -> None:
        """Forget what was read: the file has been rewritten."""
        self.rows = {}
        self._size = self._records = 0

    def append(self, rows: Sequence[Row]) -> bytes:
        """Return the lines that :meth:`write` adds for new messages."""
        return self._with_header(encode_lines(message_records(rows), together=True))

    def edit(self, ids: Sequence[str], changes: MessageChanges) -> bytes:
        """Return the line that :meth:`write` adds for an edit."""
        lines = encode_lines(edit_records(ids, changes), together=True)
        check_edited(lines, ((seq, changes.apply(message)) for seq, message in map(self.rows.__getitem__, ids)))
        return lines

    def delete(self, ids: Sequence[str]) -> bytes:
        """Return the line that :meth:`write` adds for a deletion."""
        return encode_lines(delete_records(ids), together=True)

    def write(self, lines: bytes) -> None:
        """Add lines to the file, wait until they are on disk, and take them in.

        :raises OSError: if that fails; the file is then as it was.
        """
        append_bytes(self.path, lines, sync=True)
        self._take_lines(io.BytesIO(lines))

    def content(self, rows: Sequence[Row]) -> bytes:
        """Return a whole file with these messages and nothing else."""
        return header_line(self.owner, self.session_id) + encode_lines(message_records(rows), most=LONGEST_READ)

    def is_half_garbage(self) -> bool:
        """Return whether more than half of the records have been overtaken by later ones."""
        return self._records > _SMALL and self._records > 2 * len(self.rows)

    def _with_header(self, lines: bytes) -> bytes:
        return lines if self._size else header_line(self.owner, self.session_id) + lines

    def _take_lines(self, content: BinaryIO) -> int:
        """Take in complete groups of lines; return how many bytes are left over.

        Line by line: a file may be larger than the memory, and no line is looked into that is too long to be ours.
        """
        number = size = taken = 0
        group: list[tuple[int, Mapping[str, Any]]] = []
        while (line := content.readline(LONGEST_READ + 1)).endswith(b"\n"):
            number += 1
            size += len(line)
            group.append((number, self._parse(line, number)))
            if group[-1][1].get("more"):
                continue
            for place, complete in group:
                try:
                    self._take_record(complete)
                except (LookupError, TypeError, ValueError, AttributeError) as error:
                    what = str(error) if isinstance(error, RecordInvalid) else type(error).__name__
                    raise Damaged(self.path, self._line(place), f"a record is incomplete ({what})") from error
            group = []
            taken, size = taken + size, 0
        if len(line) > LONGEST_READ:
            raise Damaged(self.path, self._line(number + 1), f"the line is longer than {LONGEST_READ} bytes")
        self._size += taken
        return size + len(line)

    def _parse(self, line: bytes, number: int) -> Mapping[str, Any]:
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise Damaged(self.path, self._line(number), "the line is not JSON") from error
        if not isinstance(record, dict) or not any(kind in record for kind in _KINDS):
            raise Damaged(self.path, self._line(number), "the line is not a record")
        if (b"\\ud" in line or b"\\uD" in line) and not _can_be_written(record):
            raise Damaged(self.path, self._line(number), "a text contains characters that cannot be encoded")
        if number == 1 and self._size == 0 and "version" not in record:
            raise Damaged(self.path, 1, "the line does not name the session")
        if "version" in record and record["version"] != VERSION:
            raise Damaged(self.path, self._line(number), _FOREIGN)
        return record

    def _line(self, number: int) -> int:
        """Return the number in the file of one of the lines that were read last."""
        before, rest = 0, self._size
        if rest:
            with self.path.open("rb") as file:
                while rest and (part := file.read(min(rest, _PART))):
                    rest -= len(part)
                    before += part.count(b"\n")
        return before + number

    def _take_record(self, record: Mapping[str, Any]) -> None:
        """Take in one record.

        :raises ValueError: or another error of its kind if it is none.
        """
        if "version" in record:
            if (record["owner"], record["session"]) != (self.owner, self.session_id):
                raise RecordInvalid("it names another session than the name of the file")
            return
        self._records += 1
        if "message" in record:
            message, seq = to_message(record["message"], self.owner, self.session_id), to_seq(record["seq"])
            if message.id in self.rows:
                raise RecordInvalid("its id is that of a message before it")
            self.rows[str(message.id)] = (seq, message)
        if "edit" in record:
            changes = to_changes(record["changes"], self.session_id)
            for name in record["edit"]:
                if name in self.rows:
                    seq, message = self.rows[name]
                    self.rows[name] = (seq, message.replace(**changes))
        for name in record.get("delete", ()):
            self.rows.pop(name, None)

    def _heal(self, surplus: int) -> None:
        logger.warning(
            "The file %s ends in the middle of a record, because a process died while writing it; %d bytes that"
            " were never acknowledged are cut off.",
            self.path,
            surplus,
        )
        with self.path.open("r+b") as file:
            file.truncate(self._size)


def _can_be_written(record: Mapping[str, Any]) -> bool:
    try:
        return bool(json.dumps(record, ensure_ascii=False).encode())
    except UnicodeEncodeError:
        return False


def salvage(path: Path, owner: str, session_id: str) -> tuple[bytes, int]:
    """Return a whole file of those records of a damaged one that can be read, and how many those are."""
    trial = SessionFile(path.parent, owner, session_id)
    kept: list[bytes] = []
    for line in _short_lines(path):
        # Each by itself: a record that belongs to one that is lost must not wait for it.
        with contextlib.suppress(LookupError, TypeError, ValueError, AttributeError, RecursionError, MessageInvalid):
            record = json.loads(line)
            record.pop("more", None)
            if "version" not in record and any(kind in record for kind in _KINDS):
                whole = encode_lines([record], most=LONGEST_READ)
                trial._take_record(record)
                kept.append(whole)
    return header_line(owner, session_id) + b"".join(kept) if kept else b"", len(kept)


def _short_lines(path: Path) -> Iterator[bytes]:
    """Yield the lines of a file that are not too long to be ours."""
    with path.open("rb") as file:
        while line := file.readline(LONGEST_READ + 1):
            if len(line) <= LONGEST_READ:
                yield line
                continue
            while line and not line.endswith(b"\n"):
                line = file.readline(_PART)


def read_header(path: Path) -> tuple[str, str] | None:
    """Return owner and session id of a file, or None if it has not even a whole first line.

    :raises ValueError: or another error of its kind if that line does not name them.
    :raises Damaged: if it is not a file, which might be waited for without end, or one of another release.
    :raises OSError: if it cannot be read.
    """
    if not path.is_file():
        raise Damaged(path, 0, "it is no file")
    with path.open("rb") as file:
        line = file.readline(_LONGEST_HEADER)
    if not line.endswith(b"\n"):
        return None
    record = json.loads(line)
    owner, session_id = record["owner"], record["session"]
    if record["version"] != VERSION:
        raise Damaged(path, 1, _FOREIGN)
    if type(owner) is not str or type(session_id) is not str:
        raise ValueError("no header")
    return owner, session_id
