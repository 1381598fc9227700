"""The folder of a store: its files and indexes, changed together."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from flowrunner import Message
from flowrunner_file_json.catalogue import Catalogue, Change, Entry
from flowrunner_file_json.files import replace_file
from flowrunner_file_json.id_index import IdIndex
from flowrunner_file_json.journal import complete, remove_leftovers, replace_together
from flowrunner_file_json.session_file import (
    Damaged,
    Row,
    SessionFile,
    digest_of,
    file_name,
    read_header,
    salvage,
)
from flowrunner_file_json.store_lock import StoreLock

logger = logging.getLogger("flowrunner")

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_MOST_ROWS: Final = 50_000

README: Final = """\
Conversations, kept by flowrunner.

sessions/       one file per session, a line per message, to be read with any editor
catalogue.jsonl which sessions there are; made anew from the files if it is missing
ids/            which message is in which file; made anew if catalogue.jsonl is missing
lock            whoever uses the folder holds it

Change nothing here while a server runs. A file of sessions/ can be copied away at any time.
"""


class Store:
    """Sessions' files and what is known about them. All methods but ``held`` want the lock held."""

    def __init__(self, folder: Path) -> None:
        self._sessions = folder / "sessions"
        self._note = folder / "pending.json"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._sessions.mkdir(mode=0o700, exist_ok=True)
        boot = _boot_id()
        # Without a number that tells one start of the machine from another, indexes must be on disk in time.
        self.ids = IdIndex(folder / "ids", sync=not boot)
        self.catalogue = Catalogue(folder / "catalogue.jsonl", boot=boot, sync=not boot)
        self._lock = StoreLock(folder / "lock")
        self._files: OrderedDict[str, SessionFile] = OrderedDict()
        self._counted = 0
        self._told: set[str] = set()
        with self._lock.held():
            complete(self._note, self._sessions)
            remove_leftovers(self._note, self._sessions)
            if not (self.catalogue.is_trustworthy() and self.ids.folder.is_dir()):
                self._make_indexes()
            readme = folder / "README.txt"
            if not readme.exists():
                readme.write_text(README)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock; what a process left half done that died is completed first."""
        with self._lock.held():
            complete(self._note, self._sessions)
            self._follow()
            yield

    def close(self) -> None:
        """Close what is open; who goes on opens it again."""
        self._lock.close()
        self.catalogue.close()

    def file(self, owner: str, session_id: str) -> SessionFile:
        """Return the file of a session, read to its end; one that is not there is empty."""
        digest = digest_of(owner, session_id)
        found = self._files.get(digest)
        if found is None:
            found = self._files[digest] = SessionFile(self._sessions, owner, session_id)
        else:
            self._files.move_to_end(digest)
        before = len(found.rows)
        try:
            self._read(found)
            entry = self.catalogue.entries.get(digest)
            if entry is not None and found.size < entry.size:
                raise Damaged(found.path, 0, f"it has {found.size} bytes and had {entry.size} at least")
        except Damaged as error:
            self._tell(error)
            raise
        self._count(max(0, len(found.rows) - before))
        return found

    def _read(self, file: SessionFile) -> None:
        """Read on; where the end does not fit, from the beginning, which shows what somebody changed there."""
        try:
            file.read()
        except Damaged as error:
            if not (file.size and error.line):
                raise
            file.forget()
            file.read()

    def _tell(self, error: Damaged) -> None:
        """Log once where a file is damaged."""
        if error.told not in self._told:
            self._told.add(error.told)
            logger.error("%s", error.told)

    def mend(self) -> list[str]:
        """Set damaged files aside, keep what can be read of them, and return a sentence for each."""
        done = []
        for path in sorted(self._sessions.glob("*.jsonl")):
            try:
                header = read_header(path)
                if header is not None:
                    self._files.pop(digest_of(*header), None)
                    self.file(*header)
                    continue
                what = f"{path} has no first line that names its session"
            except Damaged as error:
                what = error.told.partition(" Its other")[0]
            except (ValueError, LookupError, TypeError):
                what = f"The first line of {path} does not name its session"
            aside = path.with_name(f"{path.name}.damaged")
            number = 1
            while aside.exists():
                number, aside = number + 1, path.with_name(f"{path.name}.damaged-{number}")
            whole = salvage(path)
            path.rename(aside)
            if whole:
                replace_file(path, whole)
            kept = max(0, len(whole.splitlines()) - 1)
            done.append(f"{what}; it is now {aside.name}, and {kept} of its records are kept.")
        self._files.clear()
        self._make_indexes()
        return done

    def file_of(self, entry: Entry) -> SessionFile:
        """Return the file of a session in the catalogue, which then knows its newest message exactly."""
        found = self.file(entry.owner, entry.session_id)
        self.catalogue.set_newest(entry, found.last_seq)
        return found

    def file_with(self, message_id: str) -> SessionFile | None:
        """Return the file that holds a message, or None."""
        for digest in self.ids.look_up(message_id):
            entry = self.catalogue.entries.get(digest)
            if entry is not None:
                found = self.file(entry.owner, entry.session_id)
                if message_id in found.rows:
                    return found
        return None

    def files_with(self, message_ids: Iterable[str]) -> Iterator[SessionFile]:
        """Yield each file that holds some of the messages, once; what is in one file is looked up together.

        One by one, ids of many sessions would have the same files read again and again.
        """
        waiting = {name: hints for name in message_ids if (hints := self.ids.look_up(name))}
        given: set[str] = set()
        while waiting:
            names: dict[str, list[str]] = {}
            for name, hints in waiting.items():
                names.setdefault(hints[0], []).append(name)
            elsewhere: set[str] = set()
            for digest, some in names.items():
                entry = self.catalogue.entries.get(digest)
                found = None if entry is None else self.file(entry.owner, entry.session_id)
                lacking = {name for name in some if found is None or name not in found.rows}
                elsewhere |= lacking
                if found is not None and len(lacking) < len(some) and digest not in given:
                    given.add(digest)
                    yield found
            waiting = {name: hints[1:] for name, hints in waiting.items() if name in elsewhere and len(hints) > 1}

    def append(self, owner: str, session_id: str, messages: Sequence[Message]) -> None:
        """Add messages at the end of a session and of the whole order.

        :raises MessageInvalid: if a value cannot be written.
        :raises OSError: if the disk fails.
        """
        file = self.file(owner, session_id)
        first = self.catalogue.last_seq + 1
        rows = list(enumerate(messages, first))
        lines = file.append(rows)
        digest = digest_of(owner, session_id)
        self._announce([(file, rows, False)])
        self.ids.add([str(message.id) for message in messages], digest)
        file.write(lines)
        self._count(len(rows))

    def record(self, file: SessionFile, lines: bytes) -> None:
        """Add the record of an edit or a deletion to a session's file.

        :raises OSError: if the disk fails.
        """
        self._announce([(file, (), False)])
        file.write(lines)
        if file.rows and not file.is_half_garbage():
            return
        try:
            self.replace({file: list(file.rows.values())})
        except OSError as error:
            # The record is on disk and counts; only the room that it would have saved is not saved.
            logger.warning("The file %s cannot be written anew: %s", file.path, error)

    def replace(self, contents: Mapping[SessionFile, Sequence[Row]]) -> None:
        """Write sessions' files anew, all or none; one without messages is removed.

        :raises OSError: if the disk fails.
        """
        whole = {file.path: file.content(rows) if rows else None for file, rows in contents.items()}
        self._announce([(file, rows, True) for file, rows in contents.items()])
        for file, rows in contents.items():
            new = [str(message.id) for _, message in rows if message.id not in file.rows]
            digest = digest_of(file.owner, file.session_id)
            self.ids.add(new, digest)
            # Whatever interrupts this, what is looked at next is what the file then holds.
            self._files.pop(digest, None)
        replace_together(self._note, whole)

    def _announce(self, changes: Iterable[tuple[SessionFile, Sequence[Row], bool]]) -> None:
        self.catalogue.announce(
            Change(
                digest_of(file.owner, file.session_id),
                file.owner,
                file.session_id,
                max((seq for seq, _ in rows), default=file.last_seq),
                tuple({message.flow_id for _, message in rows}),
                rewritten,
                0 if rewritten else file.size,
            )
            for file, rows, rewritten in changes
        )

    def _follow(self) -> None:
        """Take in what other processes have changed."""
        changes, anew = self.catalogue.read()
        if anew:
            self._files.clear()
        for change in changes:
            if change.rewritten:
                self._files.pop(change.digest, None)
        if self.catalogue.is_long():
            entries = self.catalogue.entries.values()
            names = {path.name for path in self._sessions.iterdir()}
            self.catalogue.write_anew(e for e in entries if file_name(e.owner, e.session_id) in names)
            self.catalogue.read()

    def _count(self, new: int) -> None:
        """Note that so many more messages are at hand, and make room where there are too many.

        Down to three quarters, since counting what is there takes a while.
        """
        self._counted += new
        if self._counted <= _MOST_ROWS:
            return
        rows = sum(len(kept.rows) for kept in self._files.values())
        while rows > _MOST_ROWS * 3 // 4 and len(self._files) > 1:
            rows -= len(self._files.popitem(last=False)[1].rows)
        self._counted = rows

    def _make_indexes(self) -> None:
        """Make catalogue and index of ids anew from the sessions' files."""
        entries: list[Entry] = []
        ids: dict[str, list[str]] = {}
        for path in sorted(self._sessions.glob("*.jsonl")):
            try:
                header = read_header(path)
                if header is None:
                    path.unlink()
                    continue
                file = SessionFile(self._sessions, *header)
                file.read()
            except Damaged as error:
                self._tell(error)
                continue
            except (ValueError, LookupError, TypeError):
                self._tell(Damaged(path, 1, "the line does not name the session"))
                continue
            flows = {message.flow_id for _, message in file.rows.values()}
            digest = digest_of(*header)
            entries.append(Entry(digest, *header, newest=file.last_seq, exact=True, size=file.size, flows=flows))
            ids[digest] = list(file.rows)
        self.ids.make_anew(ids)
        self.catalogue.last_seq = max((entry.newest for entry in entries), default=0)
        self.catalogue.write_anew(entries)
        if entries:
            logger.info("The indexes of %s were made anew from %d sessions.", self._sessions, len(entries))


def _boot_id() -> str:
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""
