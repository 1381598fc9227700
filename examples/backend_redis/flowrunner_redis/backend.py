"""Conversations in Redis, for any number of hosts."""

import json
import logging
from contextlib import contextmanager
from hashlib import sha256

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from flowrunner import MemoryBackend, MemoryFailed, Message, MessageInvalid, cursor_gone
from flowrunner_redis import scripts
from flowrunner_redis.locks import SessionLocks

logger = logging.getLogger(__name__)

#: How often a change is tried again because others changed the same messages.
_TRIES = 1000


class RedisMemory(MemoryBackend):
    shared = durable = True

    def __init__(self, url, prefix="flowrunner", lease=30.0):
        # Tried again after a cut, an append that was done already would say that its id is taken.
        self._client = redis.Redis.from_url(url, retry=Retry(NoBackoff(), 0), socket_connect_timeout=10)
        self._prefix = f"{prefix}:"
        self._locks = SessionLocks(self._client, f"{prefix}:lock:", lease)
        for name in ("append", "read", "read_ids", "replace"):
            setattr(self, f"_{name}", self._client.register_script(getattr(scripts, name.upper())))
        self.place = url.rpartition("@")[2]
        with contract_errors():
            if not self._client.info("persistence")["aof_enabled"]:
                logger.warning("Redis has no append-only file: messages that it acknowledged may be lost with it.")

    def append_messages(self, messages):
        if not messages:
            return []
        owner, session = messages[0].owner, messages[0].session_id
        entries = [part for message in messages for part in (_id(message.id), _write(message))]
        with contract_errors():
            taken = self._append(keys=[self._prefix], args=[_owner_set(owner), _session_set(owner, session), *entries])
        if taken is not None:
            raise MessageInvalid(f"A message with the id {bytes.fromhex(taken.decode()).decode()} already exists.")
        return list(messages)

    def fetch_messages(self, query):
        with contract_errors():
            return [message for _, _, message in self._find(query)]

    def update_messages(self, query, changes):
        def change():
            meant = self._find(query)
            touched = {place: (row, message) for place, row, message in meant}
            sizes = {}
            if changes.session_id is not None:
                # What is in the session to which messages move has a say in their order.
                for owner in {message.owner for _, _, message in meant}:
                    target = _session_set(owner, changes.session_id)
                    there = self._load(target)
                    sizes[target] = len(there)
                    touched.update((place, (row, message)) for place, row, message in there)
            places = sorted(touched)
            before = [touched[place][1] for place in places]
            after = changes.rewrite(before, [message for _, _, message in meant])
            rows = [(place, *touched[place], new) for place, new in zip(places, after, strict=True)]
            changed = [row for row in rows if row[1] != _write(row[3]).encode()]
            ids = {message.id for _, _, message in meant}
            done = self._write_changes(rows if changed else [], changed, sizes)
            return [new for new in after if new.id in ids] if done else None

        return self._until_done(change)

    def delete_messages(self, query):
        def delete():
            rows = [(place, row, message, None) for place, row, message in self._find(query)]
            return len(rows) if self._write_changes(rows, rows, {}) else None

        return self._until_done(delete)

    def list_sessions(self, query):
        with contract_errors():
            wanted = "all" if not isinstance(query.owner, str) else _owner_set(query.owner)
            return query.select(message for _, _, message in self._load(wanted))

    def session_lock(self, owner, session_id, wait):
        return self._locks.held(_digest(owner, session_id), wait)

    def close(self):
        self._locks.close()
        self._client.close()
        return True

    def _find(self, query):
        """Return place, row and message of what a query means, oldest first, as Redis has it at one moment."""
        cursors = [self._cursor(query, cursor) for cursor in (query.after, query.before)]
        after, before = cursors[0] or 0, cursors[1] or 1 << 62
        if query.ids is not None:
            found = self._load_ids(query.ids)
        elif query.session_id is not None and isinstance(query.owner, str):
            found = self._load(_session_set(query.owner, query.session_id), self._enough(query))
        else:
            found = self._load("all" if not isinstance(query.owner, str) else _owner_set(query.owner))
        meant = [one for one in found if after < one[0] < before and query.matches(one[2])]
        return query.window(meant)

    def _enough(self, query):
        """Return how many of the newest messages of a session answer the query; None if all are to be looked at."""
        plain = query.replace(session_id=None, limit=None, offset=0)
        return None if query.limit is None or plain != type(query)(owner=query.owner) else query.limit + query.offset

    def _load(self, name, newest=None):
        if newest == 0:
            return []
        found = self._read(keys=[self._prefix], args=[name, "" if newest is None else newest])
        return [(int(found[n]), found[n + 1], _message(found[n + 1])) for n in range(0, len(found), 2)]

    def _load_ids(self, ids):
        found = []
        names = list(dict.fromkeys(map(_id, ids)))
        # Lua takes some thousand arguments at a time.
        for start in range(0, len(names), 5000):
            found += self._read_ids(keys=[self._prefix], args=names[start : start + 5000])
        return sorted((int(found[n]), found[n + 1], _message(found[n + 1])) for n in range(0, len(found), 2))

    def _cursor(self, query, cursor):
        if cursor is None:
            return None
        found = self._load_ids([cursor])
        if not found or not query.reaches(found[0][2].owner):
            raise cursor_gone(cursor)
        return found[0][0]

    def _write_changes(self, read, changed, sizes):
        """Write rows of place, what was read, old message and new one (None: delete); say whether nobody was faster."""
        if not read:
            return True
        drop = [[str(place), *_entries(old)] for place, _, old, _ in changed]
        put = [[str(place), *_entries(new), _write(new)] for place, _, _, new in changed if new is not None]
        order = json.dumps({"sizes": sizes, "drop": drop, "put": put})
        expected = [part for place, row, _, _ in read for part in (place, row)]
        return bool(self._replace(keys=[self._prefix], args=[order, *expected]))

    def _until_done(self, work):
        with contract_errors():
            for _ in range(_TRIES):
                answer = work()
                if answer is not None:
                    return answer
        raise MemoryFailed("Others changed the same messages again and again.") from TimeoutError()


@contextmanager
def contract_errors():
    """Raise what goes wrong with Redis in the words of the contract."""
    try:
        yield
    except (redis.RedisError, OSError) as error:
        raise MemoryFailed(f"Redis failed: {error}.") from error


def _write(message):
    return json.dumps(message.to_record())


def _message(row):
    return Message.from_record(json.loads(row))


def _entries(message):
    owner, session = message.owner, message.session_id
    return _id(message.id), "all", _owner_set(owner), _session_set(owner, session)


def _owner_set(owner):
    return f"owner:{_digest(owner)}"


def _session_set(owner, session):
    return f"session:{_digest(owner, session)}"


def _id(id):
    return id.encode("utf-8", "surrogatepass").hex()


def _digest(*names):
    # Lengths keep ("a", "bc") apart from ("ab", "c").
    return sha256("\0".join(f"{len(name)} {name}" for name in names).encode("utf-8", "surrogatepass")).hexdigest()
