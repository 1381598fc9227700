"""The runs of this process, and the ledger shared by all processes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from flowrunner.components.cancelling import CancelToken
from flowrunner.errors import StoreFailed
from flowrunner.memory.forks import after_fork
from flowrunner.runs.entry import RunEntry
from flowrunner.runs.process import ProcessMark
from flowrunner.store.credentials import mask_text
from flowrunner.store.ledger import Ledger
from flowrunner.store.shared_commits import Parcel, Statement

logger = logging.getLogger("flowrunner")


class RunRegistry:
    """Knows the runs that are in progress here, by id, and records what becomes of them.

    :param folder: where the processes of this host keep the lock file by which they know each other.
    :param carries: messages are committed on the ledger's engine, so that records go along.
    :param fleeting: messages end with the process, and the run log notes what their runs did; so a run that
        commits them once needs no transaction for its record before its answer.
    :param troubled: told of each failure of the database that no caller is told of.
    """

    def __init__(
        self,
        ledger: Ledger,
        folder: Path,
        *,
        carries: bool,
        fleeting: bool = False,
        troubled: Callable[[BaseException], None] = lambda error: None,
    ) -> None:
        self._troubled = troubled
        self.ledger = ledger
        self.carries = carries
        self.fleeting = fleeting
        self._folder = folder
        self._inherited: list[Any] = []
        self._begin()
        after_fork(self.start_in_child)

    def _begin(self) -> None:
        self.active: dict[str, RunEntry] = {}
        #: Why a run that begins from now on is cancelled at once; blank while runs may go on.
        self.ends = ""
        self._mark: ProcessMark | None = None
        self._marking = threading.Lock()
        self._unwritten: list[tuple[str, str, str, str]] = []
        #: Owner, id and state of runs that ended as their store failed, and whose questions may not be marked yet.
        self.unmarked: list[tuple[str, str, str]] = []

    def start_in_child(self) -> None:
        """Begin afresh in a forked process: what was in progress is the parent's."""
        self._inherited.append(self._mark)
        self._begin()

    @property
    def mark(self) -> ProcessMark:
        """This process, made known to the others when it is first asked for.

        :raises StoreFailed: if the database cannot be written.
        """
        if self._mark is None:
            with self._marking:
                if self._mark is None:
                    self._mark = self._make_known()
        return self._mark

    @property
    def process_id(self) -> str:
        """The id of this process in the ledger."""
        return self.mark.id

    @property
    def known_id(self) -> str | None:
        """The id of this process, if it has had a reason to make itself known."""
        return None if self._mark is None else self._mark.id

    def enter(
        self,
        run_id: str,
        owner: str,
        flow_id: str,
        kind: str,
        cancelled: CancelToken,
        *,
        recorded: bool = False,
        gone: Callable[[], bool] | None = None,
        parcel: Parcel | None = None,
    ) -> RunEntry:
        """Take a run that begins here; see :class:`~flowrunner.runs.entry.RunEntry`."""
        entry = RunEntry(self, run_id, owner, flow_id, kind, cancelled, recorded=recorded, gone=gone, parcel=parcel)
        self.active[run_id] = entry
        if self.ends:
            cancelled.cancel(self.ends)
        return entry

    def leave(self, entry: RunEntry) -> None:
        """Let go of a run that has ended."""
        self.active.pop(entry.run_id, None)

    def cancel_left(self) -> None:
        """Cancel the runs whose clients have left."""
        for entry in list(self.active.values()):
            if entry.gone is not None and not entry.cancelled.is_set() and entry.gone():
                entry.cancelled.cancel("the client disconnected")

    def write(self, statements: Sequence[Statement], *, needed: bool) -> bool:
        """Record something of a run in a transaction of its own; say whether that worked.

        :param needed: it must be recorded before the run may go on.
        :raises StoreFailed: if it is needed and cannot be recorded.
        """
        try:
            self.ledger.write(statements)
        except SQLAlchemyError as error:
            if needed:
                raise StoreFailed("The run cannot be recorded now, so it was not started; try again.") from error
            self._troubled(error)
            return False
        return True

    def end(self, run_id: str, state: str, code: str = "", message: str = "") -> None:
        """Record the end of a run; where that cannot be done now, it is tried again later."""
        entry = (run_id, state, code, mask_text(message))
        try:
            self.ledger.end(run_id, state, code=code, message=entry[3])
        except SQLAlchemyError as error:
            self._troubled(error)
            self._unwritten.append(entry)

    def write_again(self) -> None:
        """Record the ends that could not be recorded when they came.

        :raises SQLAlchemyError: if that still cannot be done.
        """
        while self._unwritten:
            run_id, state, code, message = self._unwritten[0]
            self.ledger.end(run_id, state, code=code, message=message)
            self._unwritten.pop(0)

    def close(self) -> None:
        """Take this process off the list; nothing of it is in progress any more."""
        mark, self._mark = self._mark, None
        if mark is not None:
            try:
                self.write_again()
                self.ledger.forget(mark.id)
            except SQLAlchemyError as error:
                logger.warning("The end of this process could not be recorded: %s", _kind(error))
            mark.close()

    def _make_known(self) -> ProcessMark:
        mark = ProcessMark(self._folder)
        try:
            self.ledger.register(id=mark.id, place=mark.place, host=mark.host, pid=mark.pid)
        except SQLAlchemyError as error:
            mark.close()
            raise StoreFailed("The server's database cannot be written now; try again.") from error
        return mark


def _kind(error: SQLAlchemyError) -> str:
    """Return what kind of error it is: the statement in its words holds data."""
    return type(getattr(error, "orig", None) or error).__name__
