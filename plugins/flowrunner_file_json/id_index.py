"""Index of message ids: the session file in which a message may be.

Entries are hints: they are written before the message is, so no message is without one; and a hint
may lead nowhere, so whoever follows one looks whether the message is really there.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final

from flowrunner import MemoryFailed
from flowrunner_file_json.files import append_bytes, set_aside

_ID: Final = 32
_LINE: Final = _ID + 1 + 64 + 1


class IndexBroken(MemoryFailed):
    """The index is not what was written. It can be rebuilt from the sessions' files, by whoever holds the lock."""

    def __init__(self, path: Path) -> None:
        super().__init__("An index of the message store was damaged and is made anew; try again.")
        self.path = path


class IdIndex:
    """Small files of lines of one length: digest of an id, digest of a session.

    There are up to 4096 of them, so that looking one id up costs little also among many.
    """

    def __init__(self, folder: Path, *, sync: bool) -> None:
        self.folder = folder
        self._sync = sync

    def add(self, ids: Iterable[str], session: str) -> None:
        """Note that messages are about to be in a session's file.

        :param session: the digest of the session.
        :raises OSError: if that cannot be written.
        :raises IndexBroken: if there is something else in its place.
        """
        for key in map(_digest, ids):
            path = self._path(key)
            try:
                self._heal(path)
                append_bytes(path, f"{key} {session}\n".encode(), sync=self._sync)
            except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
                raise IndexBroken(path) from error

    def make_anew(self, sessions: Mapping[str, Sequence[str]]) -> None:
        """Rebuild the whole index.

        :param sessions: the ids of all messages, by digest of their session.
        """
        lines: dict[Path, list[str]] = {}
        for session, ids in sessions.items():
            for key in map(_digest, ids):
                lines.setdefault(self._path(key), []).append(f"{key} {session}\n")
        if self.folder.is_symlink() or (self.folder.exists() and not self.folder.is_dir()):
            set_aside(self.folder)
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(mode=0o700)
        for path, some in lines.items():
            path.write_text("".join(some))

    def look_up(self, message_id: str) -> list[str]:
        """Return the digests of the sessions in whose files a message may be, the latest hint first.

        :raises IndexBroken: if what is there was not written here.
        """
        key = _digest(message_id).encode()
        path = self._path(key.decode())
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            if not self.folder.is_dir():
                raise IndexBroken(self.folder) from None
            return []
        except (IsADirectoryError, NotADirectoryError) as error:
            raise IndexBroken(path) from error
        whole = len(content) // _LINE * _LINE
        if content[_ID:whole:_LINE].strip(b" ") or content[_LINE - 1 : whole : _LINE].strip(b"\n"):
            raise IndexBroken(path)
        found: list[str] = []
        position = content.find(key)
        while position >= 0:
            if position % _LINE == 0 and position + _LINE <= len(content):
                session = content[position + _ID + 1 : position + _LINE - 1]
                if not session.isalnum():
                    raise IndexBroken(path)
                found.append(session.decode())
            position = content.find(key, position + 1)
        return list(dict.fromkeys(reversed(found)))

    def remove(self, ids: Iterable[str], session: str) -> None:
        """Remove hints that have come to lead nowhere."""
        lines: dict[Path, set[bytes]] = {}
        for key in map(_digest, ids):
            lines.setdefault(self._path(key), set()).add(f"{key} {session}\n".encode())
        for path, gone in lines.items():
            content = path.read_bytes() if path.exists() else b""
            kept = [content[n : n + _LINE] for n in range(0, len(content) - _LINE + 1, _LINE)]
            beside = path.with_name(path.name + ".new")
            beside.write_bytes(b"".join(line for line in kept if line not in gone))
            beside.replace(path)

    def _path(self, key: str) -> Path:
        return self.folder / key[:3]

    def _heal(self, path: Path) -> None:
        """Cut off half a line that a process left which died while it wrote."""
        if path.exists() and (surplus := path.stat().st_size % _LINE):
            with path.open("r+b") as file:
                file.truncate(path.stat().st_size - surplus)


def _digest(message_id: str) -> str:
    return sha256(message_id.encode("utf-8", "surrogatepass")).hexdigest()[:_ID]
