"""The plainest backends that keep the contract: a list, and a list that is written to a file."""

from __future__ import annotations

import fcntl
import json
import os
import threading
from pathlib import Path

from flowrunner import (
    MemoryBackend,
    MemoryFailed,
    Message,
    MessageChanges,
    MessageInvalid,
    MessageQuery,
    SessionQuery,
    SessionSummary,
    private_copy,
)


class PlainMemory(MemoryBackend):
    """Keeps messages in a list and lets queries and changes answer for themselves."""

    def __init__(self) -> None:
        self.rows: list[Message] = []
        self.lock = threading.Lock()
        self.full = False

    def append_messages(self, messages):
        with self.lock:
            self.refuse_taken(messages)
            self.save([*self.rows, *(self.take_in(message) for message in messages)])
        return list(messages)

    def fetch_messages(self, query: MessageQuery) -> list[Message]:
        with self.lock:
            return [self.give_out(message) for message in self.select(query)]

    def update_messages(self, query: MessageQuery, changes: MessageChanges) -> list[Message]:
        with self.lock:
            meant = self.select(query)
            ids = {message.id for message in meant}
            self.save([self.take_in(message) for message in self.rewrite(changes, meant)])
            return [self.give_out(message) for message in self.rows if message.id in ids]

    def delete_messages(self, query: MessageQuery) -> int:
        with self.lock:
            ids = {message.id for message in self.select(query)}
            if ids:
                self.save([message for message in self.rows if message.id not in ids])
            return len(ids)

    def list_sessions(self, query: SessionQuery) -> list[SessionSummary]:
        with self.lock:
            return query.select(self.rows)

    def close(self) -> bool:
        return True

    def refuse_taken(self, messages):
        ids = [message.id for message in messages]
        taken = {message.id for message in self.rows}.intersection(ids)
        if taken or len(set(ids)) < len(ids):
            raise MessageInvalid("An id is taken.")

    def select(self, query: MessageQuery) -> list[Message]:
        return query.select(self.rows)

    def rewrite(self, changes: MessageChanges, meant: list[Message]) -> list[Message]:
        return changes.rewrite(self.rows, meant)

    def take_in(self, message: Message) -> Message:
        return private_copy(message)

    def give_out(self, message: Message) -> Message:
        return private_copy(message)

    def save(self, rows: list[Message]) -> None:
        if self.full:
            raise MemoryFailed("The store is full.") from OSError("full")
        self.rows = rows


class PlainFile(PlainMemory):
    """Writes the whole list to a file, each time; one process at a time may use it."""

    durable = True

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        if path.exists():
            self.rows = [Message.from_record(record) for record in json.loads(path.read_text())]

    def save(self, rows: list[Message]) -> None:
        beside = self.path.with_suffix(".new")
        with beside.open("w") as file:
            json.dump([message.to_record() for message in rows], file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self.path)
        super().save(rows)


class SharedFile(PlainFile):
    """Any number of processes use the file: whoever reads or writes holds a lock on it, and reads it anew."""

    shared = True

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.threads = self.lock
        self.lock = FileLock(self)  # type: ignore[assignment]

    def reload(self) -> None:
        if self.path.exists():
            self.rows = [Message.from_record(record) for record in json.loads(self.path.read_text())]


class FileLock:
    """Keeps threads and processes apart; who enters sees what others have written."""

    def __init__(self, store: SharedFile) -> None:
        self._store = store
        self._guard = store.path.with_suffix(".lock")

    def __enter__(self) -> None:
        self._store.threads.acquire()
        self._file = self._guard.open("w")
        fcntl.flock(self._file, fcntl.LOCK_EX)
        self._store.reload()

    def __exit__(self, *error: object) -> None:
        self._file.close()
        self._store.threads.release()
