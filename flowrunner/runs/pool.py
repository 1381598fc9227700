"""Background runs on threads of the server process: callers in turn, each in order of acceptance."""

from __future__ import annotations

import heapq
import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from sqlalchemy.exc import SQLAlchemyError

from flowrunner.errors import FlowRunnerError, TooBusy
from flowrunner.runs.threads import start_thread
from flowrunner.store.ledger import Ledger

logger = logging.getLogger("flowrunner")

#: Seconds between checks whether a run of another process has ended.
_LOOK: Final = 0.2
#: The number of runs of one caller that are refused before the others wait for the next check.
_MOST_REFUSED: Final = 8


@dataclass(order=True, slots=True)
class Job:
    """A run that waits to start. ``seq`` is its number in order of acceptance.

    ``lane`` names the session that it waits for: runs of one lane are executed one at a time, across all processes;
    None waits for no session. ``begin`` executes the run. ``group`` is the group with which its caller shares
    threads. ``admit`` takes the places that the run needs and returns whether they were free; ``release`` releases
    them.
    """

    seq: int
    run_id: str = field(compare=False)
    lane: str | None = field(compare=False)
    begin: Callable[[], Any] = field(compare=False)
    group: str = field(compare=False, default="")
    admit: Callable[[], bool] = field(compare=False, default=lambda: True)
    release: Callable[[], object] = field(compare=False, default=lambda: None)


class BackgroundPool:
    """Executes jobs on a limited number of threads.

    A free thread goes to the caller with the fewest; the jobs of one caller start in order of acceptance. Threads
    never wait for sessions: a job starts when all earlier runs of its lane have ended, in this process and in others.
    One more thread checks this, while jobs wait.
    """

    def __init__(self, ledger: Ledger, threads: int) -> None:
        self._ledger = ledger
        self._threads = threads
        self._start()

    def _start(self) -> None:
        self._guard = threading.Condition()
        self._waiting: list[Job] = []
        self._running: dict[str, Job] = {}
        self._closed = False
        self._watcher: threading.Thread | None = None
        self._pool: ThreadPoolExecutor | None = None

    def start_in_child(self) -> None:
        """Reset the state in a forked process."""
        self._start()

    @property
    def busy(self) -> bool:
        """Whether any job is waiting or running."""
        return bool(self._waiting or self._running)

    def add(self, jobs: Iterable[Job]) -> None:
        """Add jobs. A closed pool drops them: they stay in the ledger for another process.

        If no thread can be started for them, they start with the next call.
        """
        with self._guard:
            if self._closed:
                return
            for job in jobs:
                heapq.heappush(self._waiting, job)
            self._guard.notify_all()
            if self._waiting and self._watcher is None:
                with suppress(TooBusy):
                    self._watcher = start_thread(self._watch, "flowrunner-background")

    def remove(self, run_id: str) -> bool:
        """Remove a job that has not started; return whether there was one."""
        with self._guard:
            left = [job for job in self._waiting if job.run_id != run_id]
            found = len(left) < len(self._waiting)
            self._waiting = left
            heapq.heapify(self._waiting)
            return found

    def close(self) -> None:
        """Start no more jobs, and drop those that wait."""
        with self._guard:
            self._closed = True
            self._waiting.clear()
            self._guard.notify_all()

    def wait(self, seconds: float) -> bool:
        """Wait until no job is running, with a time limit; return whether none is."""
        with self._guard:
            return self._guard.wait_for(lambda: not self._running, seconds)

    def shutdown(self, *, wait: bool) -> None:
        """Shut down the threads."""
        self.close()
        if self._pool is not None:
            self._pool.shutdown(wait=wait, cancel_futures=True)

    def _watch(self) -> None:
        while True:
            with self._guard:
                while not self._closed and not self._waiting:
                    if not self._guard.wait(10):
                        self._watcher = None
                        return
                if self._closed or not threading.main_thread().is_alive():
                    self._watcher = None
                    return
                candidates = self._candidates()
            free = self._admitted(self._free(candidates))
            with self._guard:
                handed = self._hand_out(free)
                if not handed and not self._closed:
                    self._guard.wait(_LOOK)

    def _candidates(self) -> list[Job]:
        """Return the first waiting job of each lane that is free in this process, at most one per thread."""
        taken = {job.lane for job in self._running.values() if job.lane is not None}
        found: dict[str, list[Job]] = {}
        for job in sorted(self._waiting):
            if job.lane is None or job.lane not in taken:
                found.setdefault(job.group, []).append(job)
                if job.lane is not None:
                    taken.add(job.lane)
        return in_turn(found, Counter(job.group for job in self._running.values()), self._threads - len(self._running))

    def _free(self, jobs: list[Job]) -> list[Job]:
        """Return the jobs without an earlier open run of their lane in any process."""
        lanes = {job.lane for job in jobs if job.lane is not None}
        if not lanes:
            return jobs
        try:
            first = self._ledger.first_open(lanes)
        except SQLAlchemyError as error:
            logger.warning("Background runs wait because the database cannot be read: %s", type(error).__name__)
            return [job for job in jobs if job.lane is None]
        return [job for job in jobs if job.lane is None or first.get(job.lane, job.seq) >= job.seq]

    def _admitted(self, jobs: list[Job]) -> list[Job]:
        """Return the jobs that may start; after a few refusals, no more jobs of a caller are tried."""
        refused: Counter[str] = Counter()
        admitted: list[Job] = []
        for job in jobs:
            if refused[job.group] < _MOST_REFUSED:
                try:
                    if job.admit():
                        admitted.append(job)
                    else:
                        refused[job.group] += 1
                except FlowRunnerError as error:
                    logger.warning("Background runs wait: %s", error.message)
                    break
        return admitted

    def _hand_out(self, jobs: list[Job]) -> int:
        handed = 0
        for job in jobs:
            if self._closed or job not in self._waiting:
                job.release()
                continue
            self._waiting.remove(job)
            heapq.heapify(self._waiting)
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="flowrunner-run")
            self._running[job.run_id] = job
            ticket = [job]
            try:
                self._pool.submit(self._run, job, ticket)
            except RuntimeError:
                # The process is ending, and the run stays in the ledger for another one; or no thread can be started.
                ticket.clear()
                del self._running[job.run_id]
                job.release()
                heapq.heappush(self._waiting, job)
            else:
                handed += 1
        return handed

    def _run(self, job: Job, ticket: list[Job]) -> None:
        with self._guard:
            if not ticket:
                # The pool keeps what it could not start a thread for, and hands it to one that it has.
                return
        try:
            job.begin()
        except Exception:
            logger.exception("unexpected error in a background run")
        finally:
            job.release()
            with self._guard:
                self._running.pop(job.run_id, None)
                self._guard.notify_all()


def in_turn(waiting: Mapping[str, list[Job]], running: Mapping[str, int], most: int) -> list[Job]:
    """Return the jobs to start next: each is the first job of the caller with the fewest running ones.

    :param waiting: jobs by caller, in order of acceptance.
    :param running: the number of running jobs, by caller.
    """
    # The n-th job of a caller starts when all other callers have n - 1.
    ranked = (
        (running.get(group, 0) + number, job) for group, jobs in waiting.items() for number, job in enumerate(jobs)
    )
    return [job for _, job in islice(sorted(ranked, key=lambda pair: (pair[0], pair[1].seq)), max(0, most))]
