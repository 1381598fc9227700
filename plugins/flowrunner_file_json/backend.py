"""The operations of the contract on a folder of files."""

from __future__ import annotations

import dataclasses
import heapq
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from math import inf
from operator import itemgetter
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
    cursor_gone,
    outage_reason,
    private_copy,
)
from flowrunner_file_json.edits import edit, move
from flowrunner_file_json.listing import list_sessions
from flowrunner_file_json.records import check_depth
from flowrunner_file_json.session_file import Damaged, Row, SessionFile, digest_of
from flowrunner_file_json.store import Store


class FileJson(MemoryBackend):
    """Keeps each session in a file of JSON lines, which a person can read.

    :param folder: where; it is made if it is not there.
    """

    shared = True
    durable = True

    def __init__(self, folder: Path) -> None:
        self.place = str(folder)
        with _contract_errors():
            self._store = Store(folder)

    def append_messages(self, messages: Sequence[Message]) -> list[Message]:
        if not messages:
            return []
        with _contract_errors(), self._store.held():
            self._refuse_taken([str(message.id) for message in messages])
            check_depth(messages)
            first = messages[0]
            self._store.append(first.owner, first.session_id, messages)
        return list(messages)

    def fetch_messages(self, query: MessageQuery) -> list[Message]:
        with _contract_errors(), self._store.held():
            return [private_copy(message) for _, message in self._find(query)]

    def update_messages(self, query: MessageQuery, changes: MessageChanges) -> list[Message]:
        with _contract_errors(), self._store.held():
            meant = self._find(query)
            ids = [str(message.id) for _, message in meant]
            check_depth(changes.apply(message) for _, message in meant[:1])
            files = self._files_of(meant)
            if any(file.session_id != changes.session_id for file in files) and changes.session_id is not None:
                self._store.replace(move(self._store, files, set(ids), changes))
                self._forget(files, ids, but=changes.session_id)
            elif len(files) > 1:
                self._store.replace({file: edit(file, set(ids), changes) for file in files})
            elif ids and changes.given():
                self._store.record(files[0], files[0].edit(ids, changes))
            found = self._find(MessageQuery(owner=query.owner, ids=tuple(ids)))
            return [private_copy(message) for _, message in found]

    def delete_messages(self, query: MessageQuery) -> int:
        with _contract_errors(), self._store.held():
            meant = self._find(query)
            ids = [str(message.id) for _, message in meant]
            files = self._files_of(meant)
            if len(files) == 1:
                self._store.record(files[0], files[0].delete(ids))
            elif files:
                gone = set(ids)
                self._store.replace({f: [row for i, row in f.rows.items() if i not in gone] for f in files})
            self._forget(files, ids)
            return len(meant)

    def list_sessions(self, query: SessionQuery) -> list[SessionSummary]:
        with _contract_errors(), self._store.held():
            return list_sessions(self._store, query)

    def mend(self) -> list[str]:
        """Set damaged files aside, and keep what can be read of them.

        :returns: a sentence for each.
        """
        with _contract_errors(), self._store.held():
            return self._store.mend()

    def close(self) -> bool:
        with _contract_errors():
            self._store.close()
        return True

    def _refuse_taken(self, ids: Sequence[str]) -> None:
        for place, name in enumerate(ids):
            if name in ids[:place] or self._store.file_with(name) is not None:
                raise MessageInvalid(f"A message with the id {name} already exists.")

    def _forget(self, files: Sequence[SessionFile], ids: Sequence[str], but: str | None = None) -> None:
        """Remove what the index of ids says of messages that have left their files."""
        for file in files:
            if file.session_id != but:
                self._store.ids.remove(ids, digest_of(file.owner, file.session_id))

    def _files_of(self, rows: Sequence[Row]) -> list[SessionFile]:
        names = dict.fromkeys((message.owner, message.session_id) for _, message in rows)
        return [self._store.file(owner, session_id) for owner, session_id in names]

    def _find(self, query: MessageQuery) -> list[Row]:
        """Return places and messages that the query means, oldest first."""
        after = 0 if query.after is None else self._cursor(query, query.after)
        before = self._store.catalogue.last_seq + 1 if query.before is None else self._cursor(query, query.before)
        enough = None if query.limit is None or query.after is not None else query.limit + query.offset
        newest: list[tuple[int, str, Row]] = []
        ids = None if query.ids is None else frozenset(query.ids)
        meant = query if ids is None else dataclasses.replace(query, ids=None)
        for bound, file in self._candidates(query) if enough != 0 else ():
            if bound <= after or (enough is not None and len(newest) >= enough and newest[0][0] > bound):
                break
            try:
                rows = file().rows
            except Damaged:
                if query.session_id is not None or query.ids is not None:
                    raise
                # Who asks for this conversation is told; who asks for many gets the others, and the log says so.
                continue
            for row in reversed(rows.values()):
                if row[0] <= after:
                    break
                if row[0] < before and (ids is None or row[1].id in ids) and meant.matches(row[1]):
                    heapq.heappush(newest, (row[0], str(row[1].id), row))
                    if enough is not None and len(newest) > enough and heapq.heappop(newest)[2] is row:
                        break
        newest.sort(key=itemgetter(0))
        return query.window([row for _, _, row in newest])

    def _candidates(self, query: MessageQuery) -> Iterator[tuple[float, Callable[[], SessionFile]]]:
        """Go through the files in which messages of a query may be, and a bound of the places in each.

        The bounds go down, so that who has enough need not look into the rest.
        """
        store = self._store
        if query.ids is not None:
            for found in store.files_with(dict.fromkeys(query.ids)):
                yield inf, partial(store.file, found.owner, found.session_id)
        elif query.session_id is not None and isinstance(query.owner, str):
            yield inf, partial(store.file, query.owner, query.session_id)
        elif query.session_id is not None:
            for entry in store.catalogue.of_session(query.session_id):
                yield inf, partial(store.file_of, entry)
        else:
            for entry in store.catalogue.by_activity(query.owner):
                if query.flow_id is None or query.flow_id in entry.flows:
                    yield entry.newest, partial(store.file_of, entry)

    def _cursor(self, query: MessageQuery, cursor: str) -> int:
        file = self._store.file_with(cursor)
        if file is None or not query.reaches(file.owner):
            raise cursor_gone(cursor)
        return file.rows[cursor][0]


@contextmanager
def _contract_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = outage_reason(error) or error.strerror or type(error).__name__
        raise MemoryFailed(f"The message store cannot be used now: {reason}.") from error
