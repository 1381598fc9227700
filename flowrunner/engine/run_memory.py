"""The messages of one run: read and stored by its components, bound to an owner and a flow."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any, Final, overload

from flowrunner.engine.events import EventStream
from flowrunner.engine.pausing import storing
from flowrunner.engine.recording import RunRecord
from flowrunner.engine.result import RunResult, RunStart
from flowrunner.memory import OwnerMemory
from flowrunner.memory.message import Message, each_message, new_id
from flowrunner.memory.query import changes_to
from flowrunner.memory.unanswered import as_unanswered, unanswered

#: Larger than any conversation, and within the integer range of every store.
_MOST: Final = 2**31 - 1


class RunMemory:
    """Collects the messages of a run and writes them in as few commits as possible.

    Messages are written before a component waits for the network, before anything reads the owner's messages, and
    before the run answers, so everything acknowledged is stored, and a plain run costs one commit. While a client
    reads a stream, each message is written immediately.
    """

    def __init__(self, of_owner: OwnerMemory, flow_id: str, run_id: str, events: EventStream, *, eager: bool) -> None:
        self._of_owner = of_owner
        self._flow_id = flow_id
        self._run_id = run_id
        self._events = events
        self._eager = eager
        self._lock = threading.RLock()
        self._pending: list[Message] = []
        self._places: dict[str, int] = {}
        self._record: RunRecord | None = None
        self._start: RunStart | None = None
        self.stored: list[Message] = []

    def record_in(self, record: RunRecord | None, start: RunStart) -> None:
        """Record the run in the same transactions as its messages."""
        self._record, self._start = record, start

    @property
    def of_owner(self) -> OwnerMemory:
        """All messages of the owner; collected messages of this run are written first."""
        self.flush()
        return self._of_owner

    def append(self, message: Message, message_id: str | None = None) -> Message:
        """Store a message of this run, or update the message with this id that the run stored before.

        :param message_id: an id already announced to readers of a stream.
        :raises TypeError: if the argument is not a message.
        """
        if not isinstance(message, Message):
            (message,) = each_message(message)
        with self._lock:
            if message.id is not None and message.id in self._places:
                return self._change(message)
            bound = message.replace(
                id=message.id or message_id or new_id(),
                flow_id=self._flow_id,
                run_id=self._run_id,
                session_metadata={"graph_run_id": self._run_id, **(message.session_metadata or {})},
                owner=self._of_owner.owner,
            )
            self._places[str(bound.id)] = len(self.stored)
            self.stored.append(bound)
            self._pending.append(bound)
            if self._eager:
                self.flush()
            return bound

    def fetch(
        self, *, session_id: str, limit: int | None = None, this_run: bool = False, **query: Any
    ) -> list[Message]:
        """Return earlier messages of a session in this flow, oldest first, without errors."""
        if limit == 0:
            return []
        limit = None if limit is None else min(limit, _MOST)
        query.setdefault("flow_id", self._flow_id)
        if this_run:
            self.flush()
        else:
            query["exclude_run"] = self._run_id
        return self._of_owner.fetch(session_id=session_id, limit=limit, error=False, **query)

    def flush(self, result: RunResult | None = None) -> None:
        """Write the collected messages, in order.

        :param result: the result of the run, if this is its last commit.
        """
        with self._lock:
            if not self._pending:
                return
            pending, self._pending = self._pending, []
            with storing(last=result is not None):
                self._commit(pending, result)
            for message in pending:
                self._events.send("message_added", message=message, stored=True)

    def _commit(self, pending: list[Message], result: RunResult | None) -> None:
        if self._record is None or self._start is None:
            self._of_owner.append(pending)
            return
        # Messages of several sessions take several commits; the run is recorded with the last one.
        whole = len({message.session_id for message in pending}) == 1
        self._record.commit(lambda: self._of_owner.append(pending), self._start, result if whole else None)

    def mark_unanswered(self, state: str) -> None:
        """Mark the questions of this run that got no answer. No event is sent: the last event of the run implies it.

        :param state: the outcome of the run: ``error`` or ``cancelled``.
        """
        with self._lock:
            for question in unanswered(self.stored):
                self._change(as_unanswered(question, state), announced=False)

    def announce(self, message: Message) -> None:
        """Send readers a message that is still being generated, without storing it."""
        self._events.send("message_added", message=message, stored=False)

    def _change(self, message: Message, *, announced: bool = True) -> Message:
        place = self._places[str(message.id)]
        before = self.stored[place]
        bound = message.replace(
            flow_id=before.flow_id,
            run_id=before.run_id,
            owner=before.owner,
            timestamp=before.timestamp,
            session_metadata={"graph_run_id": self._run_id, **(message.session_metadata or {})},
        )
        self.stored[place] = bound
        for index, pending in enumerate(self._pending):
            if pending.id == bound.id:
                self._pending[index] = bound
                return bound
        changes = changes_to(bound, without=("edit", "duration", "session_metadata"))
        self._of_owner.update(changes, ids=(str(bound.id),))
        if announced:
            self._events.send("message_added", message=bound, stored=True)
        return bound


class VertexMemory:
    """The memory of one component: :class:`RunMemory` with the id announced for its message."""

    __slots__ = ("_promised", "_run")

    def __init__(self, run: RunMemory, promised: str | None) -> None:
        self._run = run
        self._promised = promised

    @property
    def of_owner(self) -> OwnerMemory:
        """All messages of the owner, in all flows."""
        return self._run.of_owner

    @overload
    def append(self, message: Message) -> Message: ...
    @overload
    def append(self, message: Iterable[Message]) -> list[Message]: ...
    def append(self, message: Message | Iterable[Message]) -> Message | list[Message]:
        """Store one or several messages of this run; see :meth:`RunMemory.append`."""
        if isinstance(message, Message) or not isinstance(message, Iterable):
            promised, self._promised = self._promised, None
            return self._run.append(message, promised)
        return [self.append(one) for one in each_message(message)]

    def fetch(
        self, *, session_id: str, limit: int | None = None, this_run: bool = False, **query: Any
    ) -> list[Message]:
        """Return earlier messages; see :meth:`RunMemory.fetch`."""
        return self._run.fetch(session_id=session_id, limit=limit, this_run=this_run, **query)
