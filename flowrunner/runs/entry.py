"""A run of this process, and its row in the ledger."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from flowrunner.components.cancelling import CancelToken
from flowrunner.engine.result import RunResult, RunStart
from flowrunner.errors import FlowRunnerError, MemoryFailed, RunCancelled, StoreFailed
from flowrunner.memory.message import utc_now
from flowrunner.store.ledger import CANCELLED, ERROR, RUNNING, SUCCESS
from flowrunner.store.shared_commits import Cargo, Parcel, Statement
from flowrunner.text.json_text import json_text
from flowrunner.text.timestamps import moment_text

if TYPE_CHECKING:
    from flowrunner.runs.registry import RunRegistry


class RunEntry:
    """A run between its acceptance and its end.

    A run is recorded with its first commit, in the same transaction if messages and ledger are in one database. So a
    plain run, which commits once, is recorded together with its success. A run without commits is recorded by the run
    log.

    :param recorded: the run is in the ledger already, because it was queued.
    :param gone: returns whether the client that waits for the run has disconnected; None if no client waits.
    :param parcel: rows to commit with the last messages of the run.
    """

    __slots__ = (
        "_registry",
        "cancelled",
        "flow_id",
        "gone",
        "kind",
        "owner",
        "parcel",
        "recorded",
        "run_id",
        "state",
    )

    def __init__(
        self,
        registry: RunRegistry,
        run_id: str,
        owner: str,
        flow_id: str,
        kind: str,
        cancelled: CancelToken,
        *,
        recorded: bool,
        gone: Callable[[], bool] | None = None,
        parcel: Parcel | None = None,
    ) -> None:
        self._registry = registry
        self.run_id = run_id
        self.owner = owner
        self.flow_id = flow_id
        self.kind = kind
        self.cancelled = cancelled
        self.recorded = recorded
        self.gone = gone
        self.parcel = parcel
        self.state = ""

    def commit(self, store: Callable[[], object], start: RunStart, result: RunResult | None) -> None:
        """Commit messages together with the record; see :class:`~flowrunner.engine.recording.RunRecord`."""
        if self.recorded and result is None:
            store()
            return
        if self._registry.fleeting and result is not None and not self.recorded:
            store()
            self.state = SUCCESS
            return
        statements = self._statements(start, result)
        if self.parcel is not None and result is not None:
            statements += self.parcel.statements(result)
        if self._registry.carries:
            with Cargo(self._registry.ledger.engine, statements) as cargo:
                store()
            written = cargo.delivered or self._registry.write(statements, needed=False)
        elif result is None:
            written = self._registry.write(statements, needed=True)
            # From here on, the record must be closed even if the messages cannot be stored.
            self.recorded = True
            store()
        else:
            store()
            written = self._registry.write(statements, needed=False)
        if self.parcel is not None and result is not None:
            self.parcel.delivered = written
        self.recorded = True
        if result is not None:
            self.state = SUCCESS

    def _statements(self, start: RunStart, result: RunResult | None) -> list[Statement]:
        ledger = self._registry.ledger
        if self.recorded:
            return [ledger.ending(self.run_id, SUCCESS)]
        started = moment_text(start.started_at)
        session = start.session if result is None else result.session
        return [
            ledger.adding(
                id=self.run_id,
                owner=self.owner,
                flow_id=self.flow_id,
                session_id=None if session is None else json_text(session.id),
                status=RUNNING if result is None else SUCCESS,
                kind=self.kind,
                process=self._registry.process_id,
                accepted_at=started,
                started_at=started,
                ended_at=None if result is None else moment_text(utc_now()),
            )
        ]

    def succeed(self) -> None:
        """Record that the run has succeeded."""
        if not self.state:
            self._end(SUCCESS)

    def fail(self, error: BaseException) -> None:
        """Record the error that ended the run."""
        if self.state:
            return
        if isinstance(error, RunCancelled):
            self._end(CANCELLED, error.code, self.cancelled.reason or error.message)
        elif isinstance(error, FlowRunnerError):
            self._end(ERROR, error.code, error.message)
        else:
            self._end(ERROR, "internal_error", "Internal Server Error")
        if self.recorded and isinstance(error, (MemoryFailed, StoreFailed)):
            # The failure may also have kept the run from marking its question as unanswered.
            self._registry.unmarked.append((self.owner, self.run_id, self.state))

    def _end(self, state: str, code: str = "", message: str = "") -> None:
        self.state = state
        if self.recorded:
            self._registry.end(self.run_id, state, code, message)
