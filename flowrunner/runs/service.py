"""The life cycle of runs: find, stop, sweep and shut down."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from sqlalchemy.exc import SQLAlchemyError

from flowrunner.components.cancelling import CancelToken
from flowrunner.engine.request import RunRequest
from flowrunner.engine.run import sessions_of
from flowrunner.errors import FlowRunnerError, StoreFailed, TooBusy
from flowrunner.flows.model import Flow
from flowrunner.memory import EVERY_OWNER, Owner
from flowrunner.memory.forks import after_fork
from flowrunner.memory.unanswered import mark_unanswered
from flowrunner.runs.background import BackgroundRuns
from flowrunner.runs.engines import RunEngine
from flowrunner.runs.keeper import Keeper
from flowrunner.store.ledger import CANCELLED
from flowrunner.store.secretbox import SecretBox

if TYPE_CHECKING:
    from flowrunner.runner import Runner
    from flowrunner.runs.limits import Limits

logger = logging.getLogger("flowrunner")

#: Seconds to wait for a cancelled run to end before the server stops.
_LAST_WORDS: Final = 3.0
STOPPING: Final = "the server stops"

_of_process: Final[weakref.WeakSet[Runs]] = weakref.WeakSet()


def look_after_runs() -> None:
    """Start the keeper threads of all runners in this process, since it serves requests."""
    for runs in list(_of_process):
        runs.wake()


def stop_runs() -> None:
    """Shut down the runs of all runners in this process, each within its ``FLOWRUNNER_STOP_WAIT``."""
    for runs in list(_of_process):
        runs.stop_all()


class RunFound(NamedTuple):
    """The flow of a run, and whether the run is open."""

    flow_id: str
    is_open: bool


class Runs(BackgroundRuns):
    """The runs of one runner, here and in the other processes that share its database."""

    def __init__(self, runner: Runner, box: SecretBox, engine: RunEngine | None = None) -> None:
        super().__init__(runner, box, engine)
        #: Set by the runner for the keeper thread, which may outlive the runner.
        self.limits: Limits | None = None
        self._stop_wait: float = runner.settings.stop_wait
        self._parallel = runner.settings.turns == "parallel"
        self.keeper = Keeper(self.registry, self._sweep, self._is_busy, self._write_again)
        self._stopped = threading.Event()
        after_fork(self.start_in_child)
        _of_process.add(self)

    def start_in_child(self) -> None:
        """Reset the state in a forked process."""
        self.pool.start_in_child()
        self.keeper.start_in_child()
        if self.limits is not None:
            self.limits.start_in_child()
        self._unbegun = []
        self.stopping = False
        self._stopped = threading.Event()

    def wake(self) -> None:
        """Start the keeper thread, since this process serves requests. If that fails, the next call tries again."""
        with suppress(TooBusy):
            self._wake()

    def _wake(self) -> None:
        if not self.keeper.awake and not self.stopping:
            self.keeper.wake()

    def find(self, run_id: str, owner: Owner) -> RunFound | None:
        """Return the flow of an owner's run, and whether it is open; None if it does not exist.

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
        """Stop a run in any process; return whether the owner has an open run with this id.

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
        """Shut down: start no more runs, wait for those in progress, then cancel them.

        Accepted runs that have not started are left to another process, or to the next start.
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
        # A request that had waited for a thread may begin its run only now.
        self.registry.ends = STOPPING
        running = list(self.registry.active.values())
        shown = (len(running), self._stop_wait)
        logger.warning("The server is stopping: %d runs that did not finish within %g seconds are cancelled.", *shown)
        for entry in running:
            entry.cancelled.cancel(STOPPING)
        self._wait_for_runs(_LAST_WORDS)
        for entry in list(self.registry.active.values()):
            # The run ignores its token; its record must not wait for it.
            logger.warning("The run %s does not stop; it is recorded as cancelled.", entry.run_id)
            self.registry.end(entry.run_id, CANCELLED, "run_cancelled", f"The run was stopped: {STOPPING}.")

    def close(self) -> None:
        """Release all resources, after waiting for runs in progress."""
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
        """Return the lane of a run, derived from the first session that it names; None if it waits for no session."""
        if self._parallel:
            return None
        named = sorted(sessions_of(self._runner.plan(flow), request, most=self._runner.settings.max_tweaks))
        if not named:
            return None
        return hashlib.blake2b(f"{owner}\0{named[0]}".encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()

    def _sweep(self) -> None:
        self._sweeper.sweep()
        if self.dispatcher is not None:
            self.dispatcher.send_again()

    def _is_busy(self) -> bool:
        """Return whether this process must keep its heartbeat although no run is in progress."""
        return self.pool.busy or (self.limits is not None and self.limits.owes_places)

    def _write_again(self) -> None:
        if self.pool.busy:
            # They may have come when no thread could be started.
            self.pool.add([])
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
                # The next round begins with another run: a failure for one owner must not block the others.
                unmarked.append(unmarked.pop(0))
                raise
            unmarked.pop(0)
