"""Background runs: accepted, and started in order, in this process or by a worker of an engine."""

from __future__ import annotations

import logging
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy.exc import SQLAlchemyError

from flowrunner.engine.request import RunRequest
from flowrunner.errors import FlowRunnerError, ServerStops, StoreFailed, is_interrupt
from flowrunner.flows.model import Flow
from flowrunner.identity import VISITOR, Identity
from flowrunner.memory import EVERY_OWNER
from flowrunner.memory.message import new_id, utc_now
from flowrunner.runs.dispatcher import Dispatcher
from flowrunner.runs.engines import RunEngine
from flowrunner.runs.failures import was_told
from flowrunner.runs.idempotency import KeyedAnswer, Once
from flowrunner.runs.pool import BackgroundPool, Job
from flowrunner.runs.registry import RunRegistry
from flowrunner.runs.requests import close_request, open_request
from flowrunner.runs.results import KeptResult
from flowrunner.runs.sweep import Sweeper
from flowrunner.shares import group_of
from flowrunner.store.answers import AnswerStore
from flowrunner.store.credentials import mask_text
from flowrunner.store.ledger import ERROR, QUEUED, RUNNING, Ledger
from flowrunner.store.secretbox import SecretBox
from flowrunner.telemetry.correlation import going_back_to, on_behalf
from flowrunner.text.json_text import json_text
from flowrunner.text.timestamps import moment_text

if TYPE_CHECKING:
    from flowrunner.runner import Runner

logger = logging.getLogger("flowrunner")

#: The number of answers of maximum size that are kept for one owner.
_ANSWERS_OF_OWNER: Final = 64


class BackgroundRuns(ABC):
    """Starts runs that were accepted here, taken over from dead processes, or delivered by an engine."""

    def __init__(self, runner: Runner, box: SecretBox, engine: RunEngine | None) -> None:
        settings = runner.settings
        # The keeper thread must not keep an unreferenced runner alive.
        self._runner: Runner = weakref.proxy(runner)
        self.box = box
        self.ledger = Ledger(runner.engine)
        backend = runner.memory.backend
        self.registry = RunRegistry(
            self.ledger,
            settings.data_dir,
            carries=backend.commits_on(runner.engine),
            fleeting=not backend.durable and settings.run_log,
            troubled=runner.watch.failed,
        )
        self.pool = BackgroundPool(self.ledger, settings.pool_size)
        self._result_term: float = settings.result_seconds
        answers = AnswerStore(
            runner.engine,
            box,
            term=settings.idempotency_seconds,
            most=settings.max_answer,
            most_of_owner=_ANSWERS_OF_OWNER * settings.max_answer,
        )
        self.dispatcher = None if engine is None else Dispatcher(engine, settings.engine, self.ledger)
        self._sweeper = Sweeper(
            self.registry, runner.memory, answers, self._adopt, engine=engine is not None, release=self._go_on
        )
        self.once = Once(answers, self.registry, is_gone=self._sweeper.is_known_gone, settle=self._sweeper.take_over)
        #: Runs of this process's pool that could not start because the database failed.
        self._unbegun: list[str] = []
        self.stopping = False

    @abstractmethod
    def wake(self) -> None:
        """Start the keeper thread, since this process serves requests."""

    @abstractmethod
    def _wake(self) -> None:
        """As :meth:`wake`.

        :raises TooBusy: if no thread can be started for it.
        """

    @abstractmethod
    def _lane(self, flow: Flow, request: RunRequest, owner: str) -> str | None:
        """Return the lane of a run, derived from the first session that it names; None if it waits for no session."""

    def accept(
        self,
        flow: Flow,
        request: RunRequest,
        identity: Identity,
        kind: str,
        *,
        run_id: str | None = None,
        keyed: KeyedAnswer | None = None,
    ) -> str:
        """Accept a background run. It is recorded when this returns, and starts in order.

        :param keyed: the idempotency key of the request and its answer, stored in the same transaction.
        :returns: the id of the run.
        :raises KeyTaken: if another request has used the key.
        :raises ServerStops: if this process is shutting down.
        :raises StoreFailed: if the run cannot be recorded.
        :raises TooBusy: if no thread can be started to execute it.
        """
        if self.stopping:
            raise ServerStops("The server is stopping; try again.")
        # Before it is recorded: whoever keeps the runs also has those begin for which there is no thread now.
        self._wake()
        run_id = run_id or new_id()
        lane = self._lane(flow, request, identity.id)
        try:
            seq = self.ledger.accept(
                None if keyed is None else self.once.taking(keyed, run_id),
                id=run_id,
                owner=identity.id,
                flow_id=flow.id,
                session_id=json_text(request.session_id) if request.session_id else None,
                kind=kind,
                **self._whose(),
                lane=lane,
                again=flow.idempotent or None,
                request=close_request(flow, request, identity, self.box),
            )
        except SQLAlchemyError as error:
            raise StoreFailed("The run cannot be recorded now, so it was not accepted; try again.") from error
        if self.dispatcher is not None:
            self.dispatcher.send(run_id)
            return run_id
        begin = on_behalf(self._run)
        job = Job(seq, run_id, lane, lambda: begin(run_id, flow, request, identity, kind), group_of(identity))
        self._limit(job, lambda: (flow, request, identity))
        self.pool.add([job])
        if self.stopping:
            # The server began to stop in between, and has released the runs it knew.
            self.ledger.let_go(self.registry.process_id)
        return run_id

    def carry_out(self, run_id: str) -> str:
        """Execute a run of an engine, unless it has started already or waits for its session; return its final state.

        :raises StoreFailed: if the database fails.
        """
        self.wake()
        try:
            row = self.ledger.sent(run_id)
            if row is not None and row.status == RUNNING and self._sweeper.is_known_gone(row.process):
                # The run was delivered again because the worker that had it died.
                self._sweeper.take_over(row.process)
                row = self.ledger.sent(run_id)
            if row is None or row.status != QUEUED:
                return "unknown" if row is None else str(row.status)
            if row.lane is not None and self.ledger.first_open([row.lane]).get(row.lane, row.seq) < row.seq:
                # It is sent again when the run before it ends.
                return QUEUED
        except SQLAlchemyError as error:
            raise StoreFailed("The run cannot start now because of a database failure; it starts later.") from error
        if self._runner.limits.hold_places and not self._has_place(run_id, lambda: self._asked(row)):
            # It is sent again with the next sweep.
            self.ledger.unsend([run_id])
            return QUEUED
        is_elsewhere = False
        try:
            self._beginning(row)()
            ended = self.ledger.find(run_id, EVERY_OWNER)
            # Another worker that also received it may have started it meanwhile, and holds its places.
            is_elsewhere = ended is not None and ended.status == RUNNING
        finally:
            if not is_elsewhere:
                self._runner.limits.leave(run_id)
        if row.lane is not None:
            self._go_on(row.lane)
        return "unknown" if ended is None else str(ended.status)

    def _whose(self) -> dict[str, Any]:
        """Return the columns of an accepted run that say who starts it."""
        if self.dispatcher is None:
            return {"process": self.registry.process_id}
        return {"process": None, "engine": self.dispatcher.name, "sent_at": moment_text(utc_now())}

    def _go_on(self, lane: str) -> None:
        """Have an engine start the next run of a session."""
        if self.dispatcher is not None:
            self.dispatcher.go_on(lane)

    def _adopt(self, rows: Iterable[Any]) -> None:
        mine = [row for row in rows if self.dispatcher is None or row.engine is None]
        self.pool.add(map(self._job_of, mine))

    def _job_of(self, row: Any) -> Job:
        job = Job(row.seq, row.id, row.lane, self._beginning(row), self._group_of(row))
        self._limit(job, lambda: self._asked(row))
        return job

    def _group_of(self, row: Any) -> str:
        """Return the group with which the caller of a run shares places; for visitors it comes from the request."""
        if row.owner.startswith(VISITOR):
            with suppress(FlowRunnerError, ValueError, LookupError, TypeError):
                _, identity, _ = open_request(row.request, self.box)
                return group_of(identity)
        return str(row.owner)

    def _asked(self, row: Any) -> tuple[Flow, RunRequest, Identity]:
        request, identity, _ = open_request(row.request, self.box)
        return self._runner.find(row.flow_id, identity), request, identity

    def _limit(self, job: Job, asked: Callable[[], tuple[Flow, RunRequest, Identity]]) -> None:
        """Make a run wait until the limits on concurrent runs allow it."""
        limits = self._runner.limits
        if limits.hold_places:
            job.admit = lambda: self._has_place(job.run_id, asked)
            job.release = lambda: limits.leave(job.run_id)

    def _has_place(self, run_id: str, asked: Callable[[], tuple[Flow, RunRequest, Identity]]) -> bool:
        """Take the places of a background run; return whether they were free.

        :raises StoreFailed: if the database fails.
        """
        try:
            flow, request, identity = asked()
        except StoreFailed:
            raise
        except SQLAlchemyError as error:
            raise StoreFailed("The server cannot count runs now; the run starts later.") from error
        except Exception:
            # The run cannot be executed, which is reported when it starts; no other run may have to wait for it.
            return True
        return self._runner.limits.take(run_id, flow, request, identity) is None

    def _beginning(self, row: Any) -> Callable[[], None]:
        def begin() -> None:
            try:
                request, identity, cause = open_request(row.request, self.box)
                flow = self._runner.find(row.flow_id, identity)
                if row.begun:
                    # The run is repeated: remove its earlier messages, so that they do not appear twice.
                    self._runner.memory.for_owner(row.owner).delete(run_id=row.id, flow_id=row.flow_id)
            except (StoreFailed, SQLAlchemyError) as error:
                self._wait_for_store(row.id, error, sent=row.engine is not None)
                return
            except FlowRunnerError as error:
                logger.warning("The accepted run %s cannot start: %s", row.id, error.message)
                self.registry.end(row.id, ERROR, error.code, error.message)
                return
            except Exception:
                # If it stayed open, all later runs of its session would wait, even after a restart.
                logger.exception("The accepted run %s cannot start.", row.id)
                self.registry.end(row.id, ERROR, "internal_error", "The run could not start; see the log.")
                return
            sent = self.dispatcher is not None and row.engine is not None
            with going_back_to(cause):
                self._run(row.id, flow, request, identity, row.kind, sent=sent)

        return begin

    def _wait_for_store(self, run_id: str, error: Exception, *, sent: bool) -> None:
        """Release a run that could not start, so that the next sweep takes it over when the database is back.

        :param sent: the run was sent by an engine, and is sent again.
        """
        logger.warning("The accepted run %s could not start, and starts later: %s", run_id, type(error).__name__)
        if not sent:
            self._unbegun.append(run_id)

    def _kept_result(self, run_id: str, request: RunRequest, identity: Identity) -> KeptResult:
        only = request.outputs_only
        return KeptResult(self.once.store, run_id, identity.id, self._result_term, outputs_only=only)

    def _run(
        self, run_id: str, flow: Flow, request: RunRequest, identity: Identity, kind: str, *, sent: bool = False
    ) -> None:
        begin = self.ledger.begin_sent if sent else self.ledger.begin
        try:
            if not begin(run_id, self.registry.process_id):
                return
        except SQLAlchemyError as error:
            self._wait_for_store(run_id, error, sent=sent)
            return
        kept = self._kept_result(run_id, request, identity) if self._result_term else None
        try:
            result = self._runner.execute(
                flow, request, identity, run_id=run_id, kind=kind, recorded=True, patient=True, parcel=kept
            )
            if kept is not None:
                kept.keep(result)
        except FlowRunnerError as error:
            if not was_told(error):
                logger.warning("a background run of %s failed: %s", flow.name, mask_text(error.message))
        except BaseException as error:
            if is_interrupt(error):
                raise
            if not was_told(error):
                logger.exception("a background run of %s failed", flow.name)
