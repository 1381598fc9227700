"""Idempotent requests: one run for each idempotency key, across workers and hosts."""

from __future__ import annotations

import hashlib
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
from flowrunner.text.json_text import json_text

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

logger = logging.getLogger("flowrunner")

LONGEST_KEY: Final = 255
_TRIES: Final = 5
#: Statuses that say that nothing was done: the same request may be sent again, and is run then.
_NOTHING_DONE: Final = (429, 503)


class KeyInvalid(BadRequest):
    """An ``Idempotency-Key`` that is none."""

    code = "idempotency_key_invalid"


@dataclass(frozen=True, slots=True)
class Key:
    """The key of a request, within its owner and flow.

    ``id`` stands for all three, ``request`` for what is asked: another request may not have the same key.
    """

    id: str
    owner: str
    request: str


def make_key(box: SecretBox, word: str, identity: Identity, flow_id: str, asked: Any, *, sight: str = "") -> Key:
    """Return the key of a request.

    :param box: makes the digest of what is asked, which may contain secrets that are easily guessed.
    :param word: what the client calls it.
    :param asked: whatever makes one request another than the next, as plain values.
    :param sight: tells apart callers of one owner who are not shown the same answer.
    :raises KeyInvalid: for a word that is too long, empty or no plain text.
    """
    if not 1 <= len(word) <= LONGEST_KEY or not (word.isascii() and word.isprintable()):
        raise KeyInvalid(f"Idempotency-Key: must be 1 to {LONGEST_KEY} printable ASCII characters, such as a UUID.")
    shown = json.dumps(asked, sort_keys=True, default=str)
    return Key(_digest(json_text([identity.id, flow_id, sight, word])), identity.id, box.digest(shown))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class KeyedAnswer:
    """The key of a request that is answered at once, and the text of its answer."""

    key: Key
    text: str


class KeyTaken(Exception):
    """Another request has the key; the transaction that wanted it is undone."""


class Claim:
    """The right of one attempt to run what its key stands for.

    Whoever has it ends it by :meth:`keep` or :meth:`free`. ``shape`` turns the result of a run into the
    text of its answer; where it is set, the answer is committed together with the last messages of the run.
    """

    def __init__(self, store: AnswerStore, key: Key, run_id: str, unwritten: list[Statement]) -> None:
        self._store = store
        self._key = key
        self._unwritten = unwritten
        self.run_id = run_id
        self.shape: Callable[[RunResult], str] | None = None
        #: The run has begun, so that it must not be begun again.
        self.begun = False
        #: The answer already exists, with the last commit of the run.
        self.delivered = False

    def watching(self, emit: Emit | None, *, again: bool = False) -> Emit:
        """Return a reader of the run's events that notes its beginning.

        :param again: the flow may run twice, so its beginning changes nothing.
        """

        refused = False

        def watch(event: RunEvent) -> None:
            nonlocal refused
            if event.kind == "run_started" and not self.begun:
                # Said first: a client that leaves from now on comes back.
                self.begun, refused = True, not again
                if not again:
                    self._begin()
                refused = False
            # Who waits for the first event of a run that must not begin is told by its error.
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
        """Return what goes along with the last commit of the run."""
        return [] if self.shape is None else [self._store.keeping(self._key.id, self.run_id, self.shape(result))]

    def keep(self, text: str | None) -> None:
        """Keep the answer, None where it is too large; where that cannot be done now, it is tried again later."""
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
        """Return whether an error is the answer for good, since the run had begun and nobody was told to try again."""
        return self.begun and error.status not in _NOTHING_DONE

    def free(self) -> None:
        """Give the key back: nothing was done in its name; where that cannot be said now, it is tried again later."""
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
    """The keys of one runner's requests.

    :param is_gone: says whether a process is known to have ended, given its id.
    :param settle: closes what a process that is gone has left open.
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
        """Take a key for a run, or return the answer of the request that had it before.

        :raises KeyReused: if that request was another one.
        :raises KeyInFlight: if it is in progress.
        :raises RunLost: if its run had begun when its process ended.
        :raises AnswerGone: if its answer is not kept.
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
        """Return the row of a key that a run has."""
        return self.store.row(id=key.id, owner=key.owner, run_id=run_id, request=key.request, **values)

    def taking(self, keyed: KeyedAnswer, run_id: str) -> Callable[[Connection], None]:
        """Return what stores the key of a run and its answer in the transaction that accepts the run.

        It raises :class:`KeyTaken` where another request has the key.
        """
        row = self.row(keyed.key, run_id, answer=keyed.text)

        def take(connection: Connection) -> None:
            if not self.store.claim_in(connection, row):
                raise KeyTaken

        return take

    def find(self, key: Key) -> str | None:
        """Return the answer of the request that had a key before; None if none had.

        :raises FlowRunnerError: as :meth:`take`.
        """
        try:
            found = self.store.find(key.id)
            return None if found is None or self._freed(found, key) else self.answer_of(found, key)
        except SQLAlchemyError as error:
            raise StoreFailed("The server's database cannot be read now; try again.") from error

    def answer_of(self, row: Row[Any], key: Key) -> str:
        """Return the answer that a row has; raises as :meth:`take`."""
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
        """Close the request that has a key if its process is gone; say whether it did."""
        if row.state != OPEN or row.request != key.request or row.process == self._registry.known_id:
            return False
        if not self._is_gone(row.process):
            return False
        self._settle(row.process)
        return True

    def write_again(self) -> None:
        """Keep the answers that could not be kept when they were made.

        :raises SQLAlchemyError: if that still cannot be done.
        """
        while self._unwritten:
            self.store.write(self._unwritten[0])
            self._unwritten.pop(0)
