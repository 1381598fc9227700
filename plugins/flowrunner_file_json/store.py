"""The folder of a store: its files and indexes, changed together."""

from __future__ import annotations

import contextlib
import logging
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from flowrunner import Message
from flowrunner_file_json.catalogue import UNREADABLE, Catalogue, CatalogueBroken, Change, Entry
from flowrunner_file_json.files import replace_file, set_aside
from flowrunner_file_json.id_index import IdIndex, IndexBroken
from flowrunner_file_json.journal import complete, remove_leftovers, replace_together
from flowrunner_file_json.session_file import (
    DIGEST,
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
Conversations stored by flowrunner.

sessions/       one file per session, one line per message, readable in any editor
catalogue.jsonl the list of sessions; rebuilt from the files if it is missing
ids/            the session file of each message; rebuilt if catalogue.jsonl is missing
pending.json    exists only while several files are changed together
lock            locked by the process that uses the folder

Do not change anything here while a server is running. Files in sessions/ can be copied at any time.
"""


class Store:
    """Sessions' files and what is known about them. All methods except ``held`` require the lock."""

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
        self._told: set[tuple[Path, int]] = set()
        with self._lock.held():
            complete(self._note, self._sessions)
            remove_leftovers(self._note, self._sessions)
            if not (self.catalogue.is_trustworthy() and self.ids.folder.is_dir()):
                self._make_indexes()
            self._follow()
            readme = folder / "README.txt"
            if not readme.exists():
                readme.write_text(README)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock; what a process left half done that died is completed first, and a broken index rebuilt."""
        with self._lock.held():
            complete(self._note, self._sessions)
            self._follow()
            try:
                yield
            except IndexBroken as error:
                logger.warning("The index %s was damaged; it is made anew.", error.path)
                self._make_indexes()
                raise

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
        before, entry = len(found.rows), self.catalogue.entries.get(digest)
        try:
            self._read(found, 0 if entry is None else entry.size)
        except Damaged as error:
            self._tell(error)
            if error.line:
                # What was read before that line is read again with it.
                found.forget()
            raise
        if found.last_seq > (0 if entry is None else entry.newest):
            # Whatever is in a file was announced before.
            raise IndexBroken(self.catalogue.path)
        self._count(max(0, len(found.rows) - before))
        return found

    def _read(self, file: SessionFile, least: int) -> None:
        """Read on; where the end does not fit, from the beginning, which shows what somebody changed there."""
        try:
            file.read(least)
        except Damaged as error:
            if not (file.size and error.line):
                raise
            file.forget()
            file.read(least)

    def _tell(self, error: Damaged) -> None:
        """Log once where a file is damaged."""
        if (error.path, error.line) not in self._told:
            self._told.add((error.path, error.line))
            logger.error("%s", error.told)

    def mend(self) -> list[str]:
        """Set damaged files aside, keep what can be read of them, and return a sentence for each."""
        known = self.catalogue.sizes()
        gone = [change for change in known.values() if change.size and not self._path_of(change).exists()]
        done = [sentence for path in self._paths() if (sentence := self._mend(path, known)) is not None]
        done += [f"{self._path_of(change)} is not there any more; its conversation is forgotten." for change in gone]
        self._files.clear()
        self._make_indexes(forget=True)
        return done

    def _mend(self, path: Path, known: Mapping[str, Change]) -> str | None:
        """Set a file aside if it is damaged, and write what can be read of it again."""
        told = known.get(path.stem[-DIGEST:])
        names = None if told is None else (told.owner, told.session_id)
        try:
            header = read_header(path)
            if header is not None and path.name == file_name(*header):
                names = header
                self._files.pop(digest_of(*header), None)
                with contextlib.suppress(IndexBroken):
                    self.file(*header)
                return None
            what = f"{path} has no first line that names its session"
        except Damaged as error:
            if error.is_foreign:
                return f"{error.what}; it is left as it is."
            what = error.what
        except PermissionError as error:
            return f"{path} cannot be read ({error.strerror}); it is left as it is."
        except (OSError, *UNREADABLE):
            what = f"The first line of {path} does not name its session"
        aside = set_aside(path)
        whole, kept = salvage(aside, *names) if names is not None and aside.is_file() else (b"", 0)
        if names is not None and whole:
            replace_file(path.with_name(file_name(*names)), whole)
        return f"{what}; it is now {aside.name}, and {kept} of its records are kept."

    def _paths(self) -> list[Path]:
        return sorted(self._sessions.glob("*.jsonl"))

    def _path_of(self, change: Change) -> Path:
        return self._sessions / file_name(change.owner, change.session_id)

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
            logger.warning("The file %s cannot be rewritten: %s", file.path, error)

    def replace(self, contents: Mapping[SessionFile, Sequence[Row]]) -> None:
        """Write sessions' files again, all or none; one without messages is removed.

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
        self._sessions.stat()
        try:
            changes, anew = self.catalogue.read()
        except CatalogueBroken as error:
            logger.warning("The catalogue of sessions was damaged and is made anew: %s.", error)
            self._make_indexes()
            changes, anew = self.catalogue.read()
        if anew:
            self._files.clear()
            if self._lacks_files():
                logger.warning("%s lacks sessions whose files are there; it is made anew.", self.catalogue.path)
                self._make_indexes()
                self.catalogue.read()
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

    def _lacks_files(self) -> bool:
        """Return whether there are sessions' files that the catalogue does not name, though they could be read."""
        for path in self._sessions.glob("*.jsonl"):
            if path.stem[-DIGEST:] not in self.catalogue.entries:
                with contextlib.suppress(OSError, Damaged, *UNREADABLE):
                    if (header := read_header(path)) is not None and path.name == file_name(*header):
                        return True
        return False

    def _make_indexes(self, *, forget: bool = False) -> None:
        """Rebuild catalogue and index of ids from the sessions' files.

        :param forget: leave out what the old catalogue knows of sessions whose files are not there.
        """
        self._sessions.stat()
        entries: list[Entry] = []
        ids: dict[str, list[str]] = {}
        # What is known of a file that has lost something must not be forgotten: its session is no empty one.
        known = {} if forget else {digest: change for digest, change in self.catalogue.sizes().items() if change.size}
        for path in self._paths():
            file = self._opened(path, known)
            if file is None:
                continue
            flows = {message.flow_id for _, message in file.rows.values()}
            digest, newest = digest_of(file.owner, file.session_id), file.last_seq
            known.pop(digest, None)
            entries.append(Entry(digest, file.owner, file.session_id, newest, True, size=file.size, flows=flows))
            ids[digest] = list(file.rows)
        self.ids.make_anew(ids)
        entries += [Entry(c.digest, c.owner, c.session_id, c.newest, size=c.size) for c in known.values()]
        self.catalogue.last_seq = max((entry.newest for entry in entries), default=0)
        self.catalogue.write_anew(entries)
        if entries:
            logger.info("The indexes of %s were rebuilt from %d sessions.", self._sessions, len(entries))

    def _opened(self, path: Path, known: Mapping[str, Change]) -> SessionFile | None:
        """Return a session's file, read to its end; None if it cannot be, which the log says."""
        told = known.get(path.stem[-DIGEST:])
        try:
            header = read_header(path)
            if header is None:
                # So a process leaves it that dies as it makes it.
                if told is None:
                    path.unlink()
                    return None
                header = told.owner, told.session_id
            file = SessionFile(self._sessions, *header)
            if file.path != path:
                raise Damaged(path, 1, "it names another session than the name of the file")
            file.read(0 if told is None else told.size)
            return file
        except Damaged as error:
            self._tell(error)
        except UNREADABLE:
            self._tell(Damaged(path, 1, "the line does not name the session"))
        except OSError as error:
            self._tell(Damaged(path, 0, f"it cannot be read ({error.strerror})"))
        return None


def _boot_id() -> str:
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""
