"""API keys: created, shown once, verified on every request, revoked immediately."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import secrets
import threading
import time
import uuid
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Engine, Row, delete, func, insert, select, update
from sqlalchemy.exc import SQLAlchemyError

from flowrunner.errors import BadRequest, NotFound
from flowrunner.identity import LOCAL_IDENTITY, Identity
from flowrunner.memory import EVERY_OWNER, Owner
from flowrunner.memory.forks import after_fork
from flowrunner.memory.message import new_id, utc_now
from flowrunner.store.bounds import NO_BOUND, Bound
from flowrunner.store.engine import go_alone, reading, writing
from flowrunner.store.stamp import Stamp, stamp_beside
from flowrunner.store.tables import api_keys
from flowrunner.text.digests import digest_of
from flowrunner.text.timestamps import moment_text

logger = logging.getLogger("flowrunner")

KEY_PREFIX: Final = "fr-"

#: Seconds after which a cached key is looked up again, even if no stamp has changed.
_SECONDS_TRUSTED: Final = 30.0
_SECONDS_BETWEEN_USES: Final = 60.0
_MOST_REMEMBERED: Final = 10_000
_SECONDS_LISTED: Final = 5.0
_LONGEST_NAME: Final = 255
_MOST_FLOWS: Final = 1000

#: The namespace in which user names become owner ids.
_USERS: Final = uuid.UUID("6f1a4d0e-59a3-5a0c-9f57-3b6c1f6d2a11")


def owner_of_user(user: str) -> str:
    """Return the owner id of a user: a UUID derived from the name, so it is the same in every database."""
    return LOCAL_IDENTITY.id if user == LOCAL_IDENTITY.id else str(uuid.uuid5(_USERS, user))


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """The record of a key. ``hint`` holds its first characters; the key itself is not stored."""

    id: str
    hint: str
    owner: str
    user: str
    name: str
    admin: bool
    read_only: bool
    flows: tuple[str, ...] | None
    created_at: str
    last_used_at: str | None

    def to_json(self) -> dict[str, Any]:
        """Return the record as lists of keys show it."""
        return {
            "id": self.id,
            "name": self.name,
            "api_key": self.hint + "*" * 38,
            "user_id": self.owner,
            "user": self.user,
            "admin": self.admin,
            "read_only": self.read_only,
            "flows": None if self.flows is None else list(self.flows),
            "created_at": self.created_at,
            "last_used_at": self.last_used_at,
            "is_active": True,
            "expires_at": None,
        }


class _Known:
    """A cached key: its identity, how long it is trusted, and when its use was last recorded."""

    __slots__ = ("identity", "key_id", "noted", "until")

    def __init__(self, key_id: str, identity: Identity, until: float) -> None:
        self.key_id = key_id
        self.identity = identity
        self.until = until
        self.noted = float("-inf")


class KeyStore:
    """The API keys of one runner.

        :param engine: the engine of the table.
    :param folder: the data folder; see :func:`~flowrunner.store.stamp.stamp_beside`.
    :param each: the limit for one owner.
    """

    def __init__(self, engine: Engine, folder: Path, *, each: Bound = NO_BOUND) -> None:
        self._engine = engine
        self._each = each
        self._stamp = stamp_beside(engine, folder, "keys")
        # Only a SQLite file is surely used by this machine alone, so only there a stamp tells all.
        self._term = _SECONDS_TRUSTED if engine.dialect.name == "sqlite" else -math.inf
        # The cache is valid for the stamp read before it; both are replaced together.
        self._cache: tuple[Stamp, dict[bytes, _Known]] = (None, {})
        #: The digests of all keys, with the stamp and the time when they were read.
        self._listed: tuple[Stamp, float, frozenset[str]] = (None, float("-inf"), frozenset())
        self._start()
        after_fork(self._start)

    def _start(self) -> None:
        self._uses: dict[str, str] = {}
        self._noting: threading.Thread | None = None
        self._lock = threading.Lock()

    def create(
        self,
        user: str,
        *,
        name: str = "",
        admin: bool = False,
        read_only: bool = False,
        flows: Iterable[str] | None = None,
    ) -> str:
        """Create a key and return it. It cannot be retrieved later.

        :param user: the name of the user; all keys of one name have the same owner.
        :param flows: the ids or endpoint names of the flows that the key may use; None for all.
        :raises BadRequest: if the name is empty, too long or contains control characters; if an admin key is limited
            to flows; or if the user already has the maximum number of keys.
        """
        user = user.strip()
        if not user:
            raise BadRequest("A key needs a user name.")
        if not (user + name).isprintable():
            raise BadRequest("The name of a key or of its user contains control characters.")
        if max(len(user), len(name)) > _LONGEST_NAME:
            raise BadRequest(f"The name of a key or of its user may have at most {_LONGEST_NAME} characters.")
        key = _make_key()
        chosen = None if flows is None else sorted(set(flows))
        if admin and chosen is not None:
            raise BadRequest("An admin key cannot be limited to flows: choose one of the two.")
        if chosen is not None and (len(chosen) > _MOST_FLOWS or any(len(flow) > _LONGEST_NAME for flow in chosen)):
            raise BadRequest(f"A key can be limited to at most {_MOST_FLOWS} flows; for more, create another key.")
        values = {
            "id": new_id(),
            "owner": owner_of_user(user),
            "user_name": user,
            "name": name,
            "admin": admin,
            "read_only": read_only,
            "flows": None if chosen is None else json.dumps(chosen),
            "created_at": moment_text(utc_now()),
        }
        with writing(self._engine) as connection:
            if not self._each.is_none:
                go_alone(connection, f"keys of {values['owner']}")
                theirs = select(func.count()).select_from(api_keys).where(api_keys.c.owner == values["owner"])
                self._each.check(connection.execute(theirs).scalar_one())
            connection.execute(insert(api_keys).values(**values, **_traces(key)))
        self._stamp.touch()
        return key

    def list(self, owner: Owner = EVERY_OWNER) -> list[KeyRecord]:
        """Return the keys of an owner, or of all, oldest first."""
        statement = select(api_keys).order_by(api_keys.c.created_at, api_keys.c.id)
        if owner is not EVERY_OWNER:
            statement = statement.where(api_keys.c.owner == owner)
        with reading(self._engine) as connection:
            rows = connection.execute(statement).all()
        return [_record(row) for row in rows]

    def record_of(self, key: str) -> KeyRecord:
        """Return the record of a key.

        :raises NotFound: if the key does not exist.
        """
        with reading(self._engine) as connection:
            row = connection.execute(select(api_keys).where(api_keys.c.digest == digest_of(key))).first()
        if row is None:
            raise NotFound("There is no such key.")
        return _record(row)

    def revoke(self, key_id: str) -> None:
        """Revoke a key. The next request with it is refused, in every process and on every host.

        :raises NotFound: if there is no key with this id.
        """
        with writing(self._engine) as connection:
            gone = connection.execute(delete(api_keys).where(api_keys.c.id == key_id)).rowcount
        if not gone:
            raise NotFound(f"There is no key {key_id}.")
        self._stamp.touch()

    def rotate(self, key_id: str) -> str:
        """Replace a key and return the new one; the old one is refused from now on.

        :raises NotFound: if there is no key with this id.
        """
        key = _make_key()
        with writing(self._engine) as connection:
            changed = connection.execute(
                update(api_keys).where(api_keys.c.id == key_id).values(**_traces(key))
            ).rowcount
        if not changed:
            raise NotFound(f"There is no key {key_id}.")
        self._stamp.touch()
        return key

    def identify(self, key: str) -> Identity | None:
        """Return the identity of a key, or None if the key is unknown."""
        digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
        stamp = self._stamp.read()
        now = time.monotonic()
        cache = self._cache
        if cache[0] != stamp:
            cache = self._cache = (stamp, {})
        found = cache[1].get(digest)
        if found is None or found.until < now:
            found = self._look_up(digest, now, cache[1])
            if found is None:
                return None
        if now - found.noted > _SECONDS_BETWEEN_USES:
            found.noted = now
            self._note_use(found.key_id)
        return found.identity

    def is_listed(self, key: str) -> bool:
        """Return whether a key exists, according to a list that is read at most every few seconds.

        This limits the load of the database by wrong keys. A key created on another host is unknown for these
        seconds.
        """
        now = time.monotonic()
        with self._lock:
            stamp = self._stamp.read()
            if self._listed[0] != stamp or now - self._listed[1] > _SECONDS_LISTED:
                with reading(self._engine) as connection:
                    digests = frozenset(connection.execute(select(api_keys.c.digest)).scalars())
                self._listed = (stamp, now, digests)
            return digest_of(key) in self._listed[2]

    def close(self) -> None:
        """Write the pending times of last use."""
        noting = self._noting
        if noting is not None:
            noting.join(timeout=5)

    def _look_up(self, digest: bytes, now: float, known: dict[bytes, _Known]) -> _Known | None:
        with reading(self._engine) as connection:
            row = connection.execute(select(api_keys).where(api_keys.c.digest == digest.hex())).first()
        before = known.pop(digest, None)
        if row is None:
            return None
        record = _record(row)
        flows = None if record.flows is None else frozenset(record.flows)
        identity = Identity(
            record.owner, record.admin, record.read_only, flows, record.user, author=flows is None, key=record.id
        )
        found = _Known(record.id, identity, now + self._term)
        if before is not None:
            found.noted = before.noted
        if len(known) >= _MOST_REMEMBERED:
            known.clear()
        known[digest] = found
        return found

    def _note_use(self, key_id: str) -> None:
        with self._lock:
            self._uses[key_id] = moment_text(utc_now())
            if self._noting is None or not self._noting.is_alive():
                noting = threading.Thread(target=self._write_uses, name="flowrunner-keys", daemon=True)
                # Where no thread can be started, the next use writes this one, too.
                with suppress(RuntimeError):
                    noting.start()
                    self._noting = noting

    def _write_uses(self) -> None:
        while True:
            with self._lock:
                uses, self._uses = self._uses, {}
                if not uses:
                    self._noting = None
                    return
            try:
                with writing(self._engine) as connection:
                    for key_id, moment in uses.items():
                        connection.execute(update(api_keys).where(api_keys.c.id == key_id).values(last_used_at=moment))
            except SQLAlchemyError as error:
                logger.warning("The last use of %d API keys could not be recorded: %s", len(uses), type(error).__name__)


def _make_key() -> str:
    return KEY_PREFIX + secrets.token_urlsafe(32)


def _traces(key: str) -> dict[str, str]:
    return {"digest": digest_of(key), "hint": key[:8]}


def _record(row: Row[Any]) -> KeyRecord:
    return KeyRecord(
        id=row.id,
        hint=row.hint,
        owner=row.owner,
        user=row.user_name,
        name=row.name,
        admin=bool(row.admin),
        read_only=bool(row.read_only),
        flows=None if row.flows is None else tuple(json.loads(row.flows)),
        created_at=row.created_at,
        last_used_at=row.last_used_at,
    )
