"""Idempotent requests: one run for each idempotency key, across workers and hosts."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy.exc import SQLAlchemyError

from flowrunner.engine.events import Emit, RunEvent
from flowrunner.engine.result import RunResult
from flowrunner.errors import AnswerGone, BadRequest, FlowRunnerError, KeyInFlight, KeyReused, RunLost, StoreFailed
from flowrunner.identity import Identity
from flowrunner.runs.registry import RunRegistry
from flowrunner.store.answers import GONE, LOST, OPEN, AnswerStore
from flowrunner.store.secretbox import SecretBox
from flowrunner.store.shared_commits import Statement
from flowrunner.text.digests import digest_of
from flowrunner.text.json_text import json_text

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

logger = logging.getLogger("flowrunner")

LONGEST_KEY: Final = 255
_TRIES: Final = 5
#: Statuses that mean that nothing was done: the same request may be sent again, and is then executed.
_NOTHING_DONE: Final = (429, 503)


class KeyInvalid(BadRequest):
    """The ``Idempotency-Key`` is not valid."""

    code = "idempotency_key_invalid"


@dataclass(frozen=True, slots=True)
class Key:
    """The key of a request, within its owner and flow.

    ``id`` is a digest of all three, ``request`` a digest of the request: a different request may not use the same
    key.
    """

    id: str
    owner: str
    request: str


def make_key(box: SecretBox, word: str, identity: Identity, flow_id: str, asked: Any, *, sight: str = "") -> Key:
    """Return the key of a request.

        :param box: computes a keyed digest of the request, which may contain secrets that are easy to guess.
    :param word: the key as sent by the client.
    :param asked: the values that distinguish the request from others.
    :param sight: distinguishes callers of one owner who get different answers.
    :raises KeyInvalid: if the key is empty, too long or not printable ASCII.
    """
    if not 1 <= len(word) <= LONGEST_KEY or not (word.isascii() and word.isprintable()):
        raise KeyInvalid(f"Idempotency-Key: must be 1 to {LONGEST_KEY} printable ASCII characters, such as a UUID.")
    shown = json.dumps(asked, sort_keys=True, default=str)
    return Key(digest_of(json_text([identity.id, flow_id, sight, word])), identity.id, box.digest(shown))


@dataclass(frozen=True, slots=True)
class KeyedAnswer:
    """The key of a request that is answered immediately, and the text of its answer."""

    key: Key
    text: str


class KeyTaken(Exception):
    """Another request has used the key; the transaction is rolled back."""


class Claim:
    """The exclusive right to execute the request of a key.

    The holder ends it with :meth:`keep` or :meth:`free`. ``shape`` converts the result of a run to the text of its
    answer; if it is set, the answer is committed together with the last messages of the run.
    """

    def __init__(self, store: AnswerStore, key: Key, run_id: str, unwritten: list[Statement]) -> None:
        self._store = store
        self._key = key
        self._unwritten = unwritten
        self.run_id = run_id
        self.shape: Callable[[RunResult], str] | None = None
        #: Whether the run has started, so that it must not be started again.
        self.begun = False
        #: Whether the answer was stored with the last commit of the run.
        self.delivered = False

    def watching(self, emit: Emit | None, *, again: bool = False) -> Emit:
        """Return a callback for the run's events that records its start.

        :param again: the flow may be repeated, so that its start need not be recorded.
        """

        refused = False

        def watch(event: RunEvent) -> None:
            nonlocal refused
            if event.kind == "run_started" and not self.begun:
                # Set first: from now on, a client that disconnects is expected to come back.
                self.begun, refused = True, not again
                if not again:
                    self._begin()
                refused = False
            # A reader that waits for the first event of a run that must not start gets its error.
            if emit is not None and not refused:
                emit(event)

        return watch

    def _begin(self) -> None:
        try:
            self._store.begin(self._key.id, self.run_id)
        except SQLAlchemyError as error:
            self.begun = False
            raise StoreFailed("The run cannot be recorded now, so it was not started; try again.") from error

    def statements(self, result: RunResult) -> list[Statement]:
        """Return the statements to execute in the last commit of the run."""
        return [] if self.shape is None else [self._store.keeping(self._key.id, self.run_id, self.shape(result))]

    def keep(self, text: str | None) -> None:
        """Store the answer (None: too large); if that fails, it is retried later."""
        if self.delivered:
            return
        self.delivered = True
        statement = self._store.keeping(self._key.id, self.run_id, text)
        try:
            self._store.write(statement)
        except SQLAlchemyError as error:
            logger.warning("An answer could not be stored; trying again: %s", type(error).__name__)
            self._unwritten.append(statement)

    def keeps(self, error: FlowRunnerError) -> bool:
        """Return whether an error is the final answer: the run had started, and the client was not asked to retry."""
        return self.begun and error.status not in _NOTHING_DONE

    def free(self) -> None:
        """Release the key, since nothing was done; if that fails, it is retried later."""
        if self.delivered:
            return
        self.delivered = True
        statement = self._store.freeing(self._key.id, self.run_id)
        try:
            self._store.write(statement)
        except SQLAlchemyError as error:
            logger.warning("An idempotency key could not be released, and it is tried again: %s", type(error).__name__)
            self._unwritten.append(statement)


class Once:
    """The idempotency keys of one runner.

    :param is_gone: returns whether the process with an id is known to have ended.
    :param settle: closes the requests of a dead process.
    """

    def __init__(
        self,
        store: AnswerStore,
        registry: RunRegistry,
        *,
        is_gone: Callable[[str], bool],
        settle: Callable[[str], object],
    ) -> None:
        self.store = store
        self._registry = registry
        self._is_gone = is_gone
        self._settle = settle
        self._unwritten: list[Statement] = []

    def take(self, key: Key, run_id: str) -> Claim | str:
        """Claim a key for a run, or return the answer to the earlier request with the key.

        :raises KeyReused: if the earlier request was different.
        :raises KeyInFlight: if the earlier request is in progress.
        :raises RunLost: if the process of the earlier request ended during its run.
        :raises AnswerGone: if the answer is no longer stored.
        :raises StoreFailed: if the database fails.
        """
        try:
            for _ in range(_TRIES):
                found = self.store.find(key.id)
                if found is None:
                    row = self.row(key, run_id, process=self._registry.process_id)
                    if self.store.claim(row):
                        return Claim(self.store, key, run_id, self._unwritten)
                elif not self._freed(found, key):
                    return self.answer_of(found, key)
        except SQLAlchemyError as error:
            raise StoreFailed("The server's database cannot be read now; try again.") from error
        raise KeyInFlight()

    def row(self, key: Key, run_id: str, **values: Any) -> dict[str, Any]:
        """Return the row of a key for a run."""
        return self.store.row(id=key.id, owner=key.owner, run_id=run_id, request=key.request, **values)

    def taking(self, keyed: KeyedAnswer, run_id: str) -> Callable[[Connection], None]:
        """Return a function that stores the key of a run and its answer in the transaction that accepts the run.

        The function raises :class:`KeyTaken` if another request has used the key.
        """
        row = self.row(keyed.key, run_id, answer=keyed.text)

        def take(connection: Connection) -> None:
            if not self.store.claim_in(connection, row):
                raise KeyTaken

        return take

    def find(self, key: Key) -> str | None:
        """Return the answer to the earlier request with a key; None if there was none.

        :raises FlowRunnerError: as in :meth:`take`.
        """
        try:
            found = self.store.find(key.id)
            return None if found is None or self._freed(found, key) else self.answer_of(found, key)
        except SQLAlchemyError as error:
            raise StoreFailed("The server's database cannot be read now; try again.") from error

    def answer_of(self, row: Row[Any], key: Key) -> str:
        """Return the answer in a row."""
        if row.request != key.request:
            raise KeyReused("This Idempotency-Key was used for a different request; use a new key for a new request.")
        if row.state == OPEN:
            raise KeyInFlight()
        if row.state == LOST:
            raise RunLost(
                f"The process of the run {row.run_id} ended before the run did; what it had stored by then is kept."
                " To run it again, use another Idempotency-Key."
            )
        text = None if row.state == GONE else self.store.text_of(row)
        if text is None:
            raise AnswerGone(
                f"The answer to this Idempotency-Key is no longer kept. GET /api/v1/runs/{row.run_id} shows the"
                " outcome of its run; to run it again, use another key."
            )
        return text

    def _freed(self, row: Row[Any], key: Key) -> bool:
        """Close the request with a key if its process has ended; return whether it has."""
        if row.state != OPEN or row.request != key.request or row.process == self._registry.known_id:
            return False
        if not self._is_gone(row.process):
            return False
        self._settle(row.process)
        return True

    def write_again(self) -> None:
        """Store the answers that could not be stored before.

        :raises SQLAlchemyError: if the database still fails.
        """
        while self._unwritten:
            self.store.write(self._unwritten[0])
            self._unwritten.pop(0)
