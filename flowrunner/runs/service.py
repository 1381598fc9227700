"""The life cycle of runs: accept, cancel, sweep and shut down."""

from __future__ import annotations

import hashlib
import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy.exc import SQLAlchemyError

from flowrunner.components.cancelling import CancelToken
from flowrunner.engine.request import RunRequest
from flowrunner.engine.run import sessions_of
from flowrunner.errors import FlowRunnerError, ServerStops, StoreFailed, is_interrupt
from flowrunner.flows.model import Flow
from flowrunner.identity import VISITOR, Identity
from flowrunner.memory import EVERY_OWNER, Owner
from flowrunner.memory.message import new_id, utc_now
from flowrunner.memory.unanswered import mark_unanswered
from flowrunner.runs.dispatcher import Dispatcher
from flowrunner.runs.engines import RunEngine
from flowrunner.runs.failures import was_told
from flowrunner.runs.keeper import Keeper
from flowrunner.runs.once import KeyedAnswer, Once
from flowrunner.runs.pool import BackgroundPool, Job
from flowrunner.runs.registry import RunRegistry
from flowrunner.runs.requests import close_request, open_request
from flowrunner.runs.results import KeptResult
from flowrunner.runs.sweep import Sweeper
from flowrunner.shares import group_of
from flowrunner.store.answers import AnswerStore
from flowrunner.store.credentials import mask_text
from flowrunner.store.ledger import CANCELLED, ERROR, QUEUED, RUNNING, Ledger
from flowrunner.store.secretbox import SecretBox
from flowrunner.telemetry.correlation import going_back_to, on_behalf
from flowrunner.text.json_text import json_text
from flowrunner.text.timestamps import moment_text

if TYPE_CHECKING:
    from flowrunner.runner import Runner
    from flowrunner.runs.limits import Limits

logger = logging.getLogger("flowrunner")

#: Seconds that a run has to end after it was told to, before the server goes without it.
_LAST_WORDS: Final = 3.0
#: So many answers of the greatest size are kept of one owner.
_ANSWERS_OF_OWNER: Final = 64
STOPPING: Final = "the server stops"

_of_process: Final[weakref.WeakSet[Runs]] = weakref.WeakSet()


def look_after_runs() -> None:
    """Begin to look after the runs of all runners of this process: it serves."""
    for runs in list(_of_process):
        runs.wake()


def stop_runs() -> None:
    """End the runs of all runners of this process in good order, each within its ``FLOWRUNNER_STOP_WAIT``."""
    for runs in list(_of_process):
        runs.stop_all()


class RunFound(NamedTuple):
    """A run that somebody asked for: its flow, and whether it has not ended."""

    flow_id: str
    is_open: bool


class Runs:
    """The runs of one runner, here and in the other processes that share its database."""

    def __init__(self, runner: Runner, box: SecretBox, engine: RunEngine | None = None) -> None:
        self.dispatcher: Dispatcher | None = None
        #: Set by the runner, for the thread that looks after runs: it may outlive the runner.
        self.limits: Limits | None = None
        settings = runner.settings
        # The thread that looks after runs must not keep a runner alive that nobody holds.
        self._runner: Runner = weakref.proxy(runner)
        self._stop_wait: float = settings.stop_wait
        self.box = box
        self._parallel = settings.turns == "parallel"
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
        if engine is not None:
            self.dispatcher = Dispatcher(engine, settings.engine, self.ledger)
        sweeper = Sweeper(
            self.registry, runner.memory, answers, self._adopt, engine=engine is not None, release=self._go_on
        )
        self._take_over = sweeper.take_over
        self._is_known_gone = sweeper.is_known_gone
        self.once = Once(answers, self.registry, is_gone=sweeper.is_known_gone, settle=sweeper.take_over)
        self.keeper = Keeper(self.registry, self._sweep, self._is_busy, self._write_again)
        self._sweep_runs = sweeper.sweep
        #: Runs of this process's pool that could not begin, since the database failed.
        self._unbegun: list[str] = []
        self.stopping = False
        self._stopped = threading.Event()
        _renew_after_fork(self)
        _of_process.add(self)

    def start_in_child(self) -> None:
        """Begin afresh in a forked process."""
        self.pool.start_in_child()
        self.keeper.start_in_child()
        if self.limits is not None:
            self.limits.start_in_child()
        self._unbegun = []
        self.stopping = False
        self._stopped = threading.Event()

    def wake(self) -> None:
        """Begin to look after runs: this process serves."""
        if not self.keeper.awake and not self.stopping:
            self.keeper.wake()

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
        """Take a run in the background; it is recorded when this returns, and begins in its turn.

        :param keyed: the key of the request and its answer, stored in the same transaction.
        :returns: its id.
        :raises KeyTaken: if another request has the key.
        :raises ServerStops: if this process is about to end.
        :raises StoreFailed: if it cannot be recorded.
        """
        if self.stopping:
            raise ServerStops("The server is stopping; try again.")
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
        self.wake()
        if self.dispatcher is not None:
            self.dispatcher.send(run_id)
            return run_id
        begin = on_behalf(self._run)
        job = Job(seq, run_id, lane, lambda: begin(run_id, flow, request, identity, kind), group_of(identity))
        self._limit(job, lambda: (flow, request, identity))
        self.pool.add([job])
        if self.stopping:
            # The stop came in between, and let go of those that it saw.
            self.ledger.let_go(self.registry.process_id)
        return run_id

    def find(self, run_id: str, owner: Owner) -> RunFound | None:
        """Return what is known of an owner's run: whether it is open, and its flow; None if there is none.

        :raises StoreFailed: if the database fails.
        """
        entry = self.registry.active.get(run_id)
        if entry is not None and (owner is EVERY_OWNER or owner == entry.owner):
            return RunFound(entry.flow_id, True)
        try:
            row = self.ledger.find(run_id, owner)
        except SQLAlchemyError as error:
            raise StoreFailed("The server's database cannot be read now; try again.") from error
        return None if row is None else RunFound(row.flow_id, row.ended_at is None)

    def stop(self, run_id: str, owner: Owner, reason: str) -> bool:
        """Stop a run, whichever process it is in; say whether there is an open one of this owner.

        :raises StoreFailed: if the database fails.
        """
        entry = self.registry.active.get(run_id)
        if entry is not None and (owner is EVERY_OWNER or owner == entry.owner):
            entry.cancelled.cancel(reason)
            return True
        try:
            row = self.ledger.find(run_id, owner)
            if row is None or row.ended_at is not None:
                return False
            if self.ledger.end_queued(run_id, f"The run was stopped: {reason}."):
                self.pool.remove(run_id)
                if row.lane is not None:
                    self._go_on(row.lane)
                return True
            return self.ledger.ask_to_stop(run_id, reason)
        except SQLAlchemyError as error:
            raise StoreFailed("The server's database cannot be read now; try again.") from error

    def stop_all(self) -> None:
        """End in good order: begin nothing more, wait for what is in progress, then cancel it.

        What was accepted and has not begun is left to another process, or to the next start.
        """
        if self.stopping:
            self._stopped.wait(self._stop_wait + 2 * _LAST_WORDS)
            return
        self.stopping = True
        try:
            self._let_go()
            if not self._wait_for_runs(self._stop_wait):
                self._cancel_all()
        finally:
            self._stopped.set()

    def _let_go(self) -> None:
        self.pool.close()
        if self.registry.known_id is None:
            return
        try:
            left = self.ledger.let_go(self.registry.process_id)
            if left:
                logger.info("%d accepted runs that have not started are left to another process.", left)
        except SQLAlchemyError as error:
            logger.warning("Accepted runs could not be released: %s", type(error).__name__)

    def _cancel_all(self) -> None:
        running = list(self.registry.active.values())
        shown = (len(running), self._stop_wait)
        logger.warning("The server is stopping: %d runs that did not finish within %g seconds are cancelled.", *shown)
        for entry in running:
            entry.cancelled.cancel(STOPPING)
        self._wait_for_runs(_LAST_WORDS)
        for entry in list(self.registry.active.values()):
            # It does not look at its token; its record must not wait for it.
            logger.warning("The run %s does not stop; it is recorded as cancelled.", entry.run_id)
            self.registry.end(entry.run_id, CANCELLED, "run_cancelled", f"The run was stopped: {STOPPING}.")

    def close(self) -> None:
        """Release everything; runs that are in progress are waited for."""
        self.stop_all()
        self.pool.shutdown(wait=False)
        self.keeper.close()
        try:
            self._write_again()
        except (SQLAlchemyError, FlowRunnerError) as error:
            logger.warning("What runs left to be stored could not be stored: %s", type(error).__name__)
        self.registry.close()

    def _wait_for_runs(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        pause = CancelToken()
        while self.registry.active or not self.pool.wait(0):
            if time.monotonic() >= deadline:
                return False
            pause.wait(0.02)
        return True

    def _lane(self, flow: Flow, request: RunRequest, owner: str) -> str | None:
        """Return what stands for the first session that the run names; None where it waits for none."""
        if self._parallel:
            return None
        named = sorted(sessions_of(self._runner.plan(flow), request, most=self._runner.settings.max_tweaks))
        if not named:
            return None
        return hashlib.blake2b(f"{owner}\0{named[0]}".encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()

    def _whose(self) -> dict[str, Any]:
        """Return what the row of an accepted run says of who begins it."""
        if self.dispatcher is None:
            return {"process": self.registry.process_id}
        return {"process": None, "engine": self.dispatcher.name, "sent_at": moment_text(utc_now())}

    def _sweep(self) -> None:
        self._sweep_runs()
        if self.dispatcher is not None:
            self.dispatcher.send_again()

    def _is_busy(self) -> bool:
        """Return whether others must not take this process for one that is gone, though no run is in progress."""
        return self.pool.busy or (self.limits is not None and self.limits.owes_places)

    def _write_again(self) -> None:
        self.once.write_again()
        while self._unbegun:
            self.ledger.let_go_of(self._unbegun[0])
            self._unbegun.pop(0)
        if self.limits is not None:
            self.limits.give_back()
        unmarked = self.registry.unmarked
        while unmarked:
            owner, run_id, state = unmarked[0]
            try:
                mark_unanswered(self._runner.memory.for_owner(owner), run_id, state)
            except FlowRunnerError:
                # The next round begins with another one: what fails for one owner alone must not hold up all.
                unmarked.append(unmarked.pop(0))
                raise
            unmarked.pop(0)

    def _go_on(self, lane: str) -> None:
        """Have the next run of a session begin, where an engine does that."""
        if self.dispatcher is not None:
            self.dispatcher.go_on(lane)

    def carry_out(self, run_id: str) -> str:
        """Begin a run of an engine here, unless it has begun or waits for its session; return its state at the end.

        :raises StoreFailed: if the database fails.
        """
        self.wake()
        try:
            row = self.ledger.sent(run_id)
            if row is not None and row.status == RUNNING and self._is_known_gone(row.process):
                # It was delivered again, since the worker that had it is gone.
                self._take_over(row.process)
                row = self.ledger.sent(run_id)
            if row is None or row.status != QUEUED:
                return "unknown" if row is None else str(row.status)
            if row.lane is not None and self.ledger.first_open([row.lane]).get(row.lane, row.seq) < row.seq:
                # Whoever ends the run before it sends it again.
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
            # Another worker that was told of it, too, may have begun it meanwhile, and holds its places.
            is_elsewhere = ended is not None and ended.status == RUNNING
        finally:
            if not is_elsewhere:
                self._runner.limits.leave(run_id)
        if row.lane is not None:
            self._go_on(row.lane)
        return "unknown" if ended is None else str(ended.status)

    def _adopt(self, rows: Iterable[Any]) -> None:
        mine = [row for row in rows if self.dispatcher is None or row.engine is None]
        self.pool.add(map(self._job_of, mine))

    def _job_of(self, row: Any) -> Job:
        job = Job(row.seq, row.id, row.lane, self._beginning(row), self._group_of(row))
        self._limit(job, lambda: self._asked(row))
        return job

    def _group_of(self, row: Any) -> str:
        """Return with whom the caller of a run shares, as :func:`group_of`; of visitors the request alone says it."""
        if row.owner.startswith(VISITOR):
            with suppress(FlowRunnerError, ValueError, LookupError, TypeError):
                _, identity, _ = open_request(row.request, self.box)
                return group_of(identity)
        return str(row.owner)

    def _asked(self, row: Any) -> tuple[Flow, RunRequest, Identity]:
        request, identity, _ = open_request(row.request, self.box)
        return self._runner.find(row.flow_id, identity), request, identity

    def _limit(self, job: Job, asked: Callable[[], tuple[Flow, RunRequest, Identity]]) -> None:
        """Have a run begin only where the limits on runs at a time have a place for it."""
        limits = self._runner.limits
        if limits.hold_places:
            job.admit = lambda: self._has_place(job.run_id, asked)
            job.release = lambda: limits.leave(job.run_id)

    def _has_place(self, run_id: str, asked: Callable[[], tuple[Flow, RunRequest, Identity]]) -> bool:
        """Take the places of a run in the background, and say whether there were any.

        :raises StoreFailed: if the database fails.
        """
        try:
            flow, request, identity = asked()
        except StoreFailed:
            raise
        except SQLAlchemyError as error:
            raise StoreFailed("The server cannot count runs now; the run starts later.") from error
        except Exception:
            # It cannot be run, which is said when it begins. Nobody else may have to wait for it.
            return True
        return self._runner.limits.take(run_id, flow, request, identity) is None

    def _beginning(self, row: Any) -> Callable[[], None]:
        def begin() -> None:
            try:
                request, identity, cause = open_request(row.request, self.box)
                flow = self._runner.find(row.flow_id, identity)
                if row.begun:
                    # It begins again, so what it said before its process ended is not said twice.
                    self._runner.memory.for_owner(row.owner).delete(run_id=row.id, flow_id=row.flow_id)
            except (StoreFailed, SQLAlchemyError) as error:
                self._wait_for_store(row.id, error, sent=row.engine is not None)
                return
            except FlowRunnerError as error:
                logger.warning("The accepted run %s cannot start: %s", row.id, error.message)
                self.registry.end(row.id, ERROR, error.code, error.message)
                return
            except Exception:
                # Left open it would keep all later runs of its session waiting, also after a restart.
                logger.exception("The accepted run %s cannot start.", row.id)
                self.registry.end(row.id, ERROR, "internal_error", "The run could not start; see the log.")
                return
            sent = self.dispatcher is not None and row.engine is not None
            with going_back_to(cause):
                self._run(row.id, flow, request, identity, row.kind, sent=sent)

        return begin

    def _wait_for_store(self, run_id: str, error: Exception, *, sent: bool) -> None:
        """Have a run that could not begin taken over by whoever sweeps next, once the database is back.

        :param sent: by an engine, which is told of it again.
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


def _renew_after_fork(runs: Runs) -> None:
    reference = weakref.ref(runs)

    def renew() -> None:
        found = reference()
        if found is not None:
            found.start_in_child()

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=renew)
