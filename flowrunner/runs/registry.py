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
    """The runs in progress in this process, by id. Records their outcome.

    :param folder: the folder of the lock file by which processes on this host detect each other.
    :param carries: messages are committed on the engine of the ledger, so that records share their transactions.
    :param fleeting: messages are lost when the process ends, and the run log records the runs; so a run with one
        commit needs no transaction for its record before its answer.
    :param troubled: called for each database failure that is not reported to a caller.
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
        #: Owner, id and state of runs that ended in a store failure, and whose questions may still have to be marked.
        self.unmarked: list[tuple[str, str, str]] = []

    def start_in_child(self) -> None:
        """Reset the state in a forked process: runs in progress belong to the parent."""
        self._inherited.append(self._mark)
        self._begin()

    @property
    def mark(self) -> ProcessMark:
        """The mark of this process, which is registered on first use.

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
        """The id of this process, if it is registered."""
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
        """Add a run that starts here; see :class:`~flowrunner.runs.entry.RunEntry`."""
        entry = RunEntry(self, run_id, owner, flow_id, kind, cancelled, recorded=recorded, gone=gone, parcel=parcel)
        self.active[run_id] = entry
        if self.ends:
            cancelled.cancel(self.ends)
        return entry

    def leave(self, entry: RunEntry) -> None:
        """Remove a run that has ended."""
        self.active.pop(entry.run_id, None)

    def cancel_left(self) -> None:
        """Cancel the runs whose clients have disconnected."""
        for entry in list(self.active.values()):
            if entry.gone is not None and not entry.cancelled.is_set() and entry.gone():
                entry.cancelled.cancel("the client disconnected")

    def write(self, statements: Sequence[Statement], *, needed: bool) -> bool:
        """Record a change of a run in its own transaction; return whether it succeeded.

        :param needed: the run must not continue unless this is recorded.
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
        """Record the end of a run; if that fails, it is retried later."""
        entry = (run_id, state, code, mask_text(message))
        try:
            self.ledger.end(run_id, state, code=code, message=entry[3])
        except SQLAlchemyError as error:
            self._troubled(error)
            self._unwritten.append(entry)

    def write_again(self) -> None:
        """Record the ends of runs that could not be recorded before.

        :raises SQLAlchemyError: if the database still fails.
        """
        while self._unwritten:
            run_id, state, code, message = self._unwritten[0]
            self.ledger.end(run_id, state, code=code, message=message)
            self._unwritten.pop(0)

    def close(self) -> None:
        """Unregister this process, after all its runs have ended."""
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
    """Return the type of an error: its message contains the statement with data."""
    return type(getattr(error, "orig", None) or error).__name__
