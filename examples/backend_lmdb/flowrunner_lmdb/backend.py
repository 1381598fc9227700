"""Conversations in LMDB, a store of sorted keys that many processes may share."""

import json
import os
import threading
import weakref
from contextlib import contextmanager
from hashlib import sha256
from itertools import takewhile

import lmdb

from flowrunner import MemoryBackend, MemoryFailed, Message, MessageInvalid, cursor_gone

_lock = threading.Lock()
_open = weakref.WeakValueDictionary()


class Folder:
    def __init__(self, path):
        path.mkdir(parents=True, exist_ok=True)
        self.pid = os.getpid()
        self.env = lmdb.open(str(path), map_size=1 << 36, max_dbs=3, max_readers=2048)
        self.env.reader_check()
        self.messages, self.ids, self.sessions = map(self.env.open_db, (b"messages", b"ids", b"sessions"))


def open_folder(path):
    """Open a folder once in each process, as LMDB wants it; a child of a fork opens its own."""
    with _lock:
        found = _open.get(path)
        if found is None or found.pid != os.getpid():
            if found is not None:
                found.env.close()
            found = _open[path] = Folder(path)
        return found


class LmdbMemory(MemoryBackend):
    shared = durable = True

    def __init__(self, path):
        self._path = path.resolve()
        self._folder = open_folder(self._path)

    def append_messages(self, messages):
        with self._rows(write=True) as rows:
            for place, message in enumerate(messages, rows.next_place()):
                if rows.place_of(message.id) is not None:
                    raise MessageInvalid(f"A message with the id {message.id} already exists.")
                rows.put(place, message)
        return list(messages)

    def fetch_messages(self, query):
        with self._rows() as rows:
            return list(rows.find(query).values())

    def update_messages(self, query, changes):
        with self._rows(write=True) as rows:
            meant = rows.find(query)
            touched = dict(meant)
            if changes.session_id is not None:
                # What is in the session to which messages move has a say in their order.
                for owner in {message.owner for message in meant.values()}:
                    touched.update(rows.load(rows.places(rows.db.sessions, _digest(owner, changes.session_id))))
            before = dict(sorted(touched.items()))
            after = changes.rewrite(before.values(), meant.values())
            for place, message in before.items():
                rows.take(place, message)
            for place, message in zip(before, after, strict=True):
                rows.put(place, message)
        ids = {message.id for message in meant.values()}
        return [message for message in after if message.id in ids]

    def delete_messages(self, query):
        with self._rows(write=True) as rows:
            meant = rows.find(query)
            for place, message in meant.items():
                rows.take(place, message)
        return len(meant)

    def list_sessions(self, query):
        with self._rows() as rows:
            return query.select(message for _, message in rows.load(rows.places(rows.db.messages)))

    def close(self):
        self._folder = None  # The last backend on a folder closes it.
        return True

    @contextmanager
    def _rows(self, write=False):
        """Open a transaction: when it ends, all that was written in it is on disk, and after an error nothing."""
        try:
            self._folder = folder = open_folder(self._path)
            with folder.env.begin(write=write) as transaction:
                yield Rows(folder, transaction)
        except (lmdb.Error, OSError) as error:
            raise MemoryFailed(f"The message store failed: {error}.") from error


class Rows:
    """Messages by their place in the order of append, with keys that lead from ids and sessions to places."""

    def __init__(self, folder, transaction):
        self.db, self._transaction = folder, transaction

    def put(self, place, message):
        for db, key, value in self._entries(place, message):
            self._transaction.put(key, value, db=db)

    def take(self, place, message):
        for db, key, _ in self._entries(place, message):
            self._transaction.delete(key, db=db)

    def next_place(self):
        with self._transaction.cursor(self.db.messages) as cursor:
            return _place(cursor.key()) + 1 if cursor.last() else 0

    def place_of(self, id):
        key = self._transaction.get(_digest(id), db=self.db.ids)
        return None if key is None else _place(key)

    def places(self, db, prefix=b""):
        with self._transaction.cursor(db) as cursor:
            cursor.set_range(prefix)
            keys = takewhile(lambda key: key.startswith(prefix), cursor.iternext(values=False))
            return [_place(key) for key in keys]

    def load(self, places):
        for place in places:
            record = json.loads(self._transaction.get(_key(place), db=self.db.messages))
            yield place, Message.from_record(record)

    def find(self, query):
        """Return the messages that a query means by their places, oldest first."""
        after = -1 if query.after is None else self._cursor(query, query.after)
        before = 1 << 63 if query.before is None else self._cursor(query, query.before)
        places = [place for place in self._candidates(query) if after < place < before]
        enough = None if query.limit is None else query.limit + query.offset
        found = []
        for row in self.load(places if query.after is not None else reversed(places)):
            if len(found) == enough:
                break
            if query.matches(row[1]):
                found.append(row)
        return dict(query.window(sorted(found, key=lambda row: row[0])))

    def _candidates(self, query):
        if query.ids is not None:
            return sorted(place for id in set(query.ids) if (place := self.place_of(id)) is not None)
        if query.session_id is not None and isinstance(query.owner, str):
            return self.places(self.db.sessions, _digest(query.owner, query.session_id))
        return self.places(self.db.messages)

    def _cursor(self, query, id):
        place = self.place_of(id)
        if place is None or not all(query.reaches(message.owner) for _, message in self.load([place])):
            raise cursor_gone(id)
        return place

    def _entries(self, place, message):
        yield self.db.messages, _key(place), json.dumps(message.to_record()).encode()
        yield self.db.ids, _digest(message.id), _key(place)
        yield self.db.sessions, _digest(message.owner, message.session_id) + _key(place), b""


def _key(place):
    return place.to_bytes(8, "big")


def _place(key):
    return int.from_bytes(key[-8:], "big")


def _digest(*names):
    # Names come from clients and may be long; lengths keep ("a", "bc") apart from ("ab", "c").
    return sha256("\0".join(f"{len(name)} {name}" for name in names).encode("utf-8", "surrogatepass")).digest()
