"""Stored answers, kept for a limited time: of idempotent requests and of background runs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Connection, Engine, Row, delete, exists, select, text, update

from flowrunner.memory import EVERY_OWNER, Owner
from flowrunner.memory.message import utc_now
from flowrunner.store.engine import reading
from flowrunner.store.relaxed_commits import unhurried
from flowrunner.store.secretbox import SecretBox
from flowrunner.store.shared_commits import Statement
from flowrunner.store.tables import answers, runs
from flowrunner.text.timestamps import moment_text

#: States of a request: in progress, answered, its run lost, its answer too large or removed.
OPEN: Final = "open"
KEPT: Final = "kept"
LOST: Final = "lost"
GONE: Final = "gone"

_COLUMNS: Final = (
    "id",
    "owner",
    "run_id",
    "request",
    "process",
    "state",
    "begun",
    "answer",
    "size",
    "at",
    "expires_at",
)

#: Written out, as those of the ledger that a process executes by itself.
_REMOVE_OVER: Final = text("DELETE FROM flowrunner_answers WHERE expires_at < :now AND state <> 'open'")
_OWNERS_OVER: Final = text("SELECT owner, sum(size) FROM flowrunner_answers GROUP BY owner HAVING sum(size) > :most")


class AnswerStore:
    """The table of stored answers. Expired answers are treated as removed.

    :param box: encrypts the answers, which contain conversations and may contain secrets of a flow.
    :param term: the default lifetime of an answer in seconds.
    :param most: the maximum size of an answer in bytes; larger answers are not stored.
    :param most_of_owner: the maximum size of all answers of one owner in bytes; the oldest are removed first.
    """

    def __init__(self, engine: Engine, box: SecretBox, *, term: float, most: int, most_of_owner: int) -> None:
        self._engine = engine
        self._box = box
        self._term = term
        self._most = most
        self._most_of_owner = most_of_owner
        mark = ":{}" if engine.dialect.name == "sqlite" else "%({})s"
        places = ", ".join(mark.format(name) for name in _COLUMNS)
        self._insert = (
            f"INSERT INTO {answers.name} ({', '.join(_COLUMNS)}) VALUES ({places}) ON CONFLICT (id) DO NOTHING"  # noqa: S608
        )
        changed = ", ".join(f"{name} = {mark.format(name)}" for name in ("state", "answer", "size"))
        self._keep = (
            f"UPDATE {answers.name} SET {changed}"  # noqa: S608
            f" WHERE id = {mark.format('id')} AND run_id = {mark.format('run_id')} AND state = '{OPEN}'"
        )
        self._free = (
            f"DELETE FROM {answers.name}"  # noqa: S608
            f" WHERE id = {mark.format('id')} AND run_id = {mark.format('run_id')} AND state = '{OPEN}'"
        )

    def row(self, **values: Any) -> dict[str, Any]:
        """Return the row of an answer from its ``id``, ``owner`` and ``run_id``.

        ``answer`` is its text, if known already; ``term`` its lifetime in seconds.
        """
        text, now = values.pop("answer", None), utc_now()
        term = timedelta(seconds=values.pop("term", self._term))
        row = {
            "request": None,
            "process": None,
            "state": OPEN,
            "begun": False,
            "answer": None,
            "size": 0,
            "at": moment_text(now),
            "expires_at": moment_text(now + term),
            **values,
        }
        return row if text is None else {**row, **self._closed(text)}

    def adding(self, row: dict[str, Any]) -> Statement:
        """Return the statement that inserts a row, unless the id exists."""
        return self._insert, row

    def keeping(self, answer_id: str, run_id: str, text: str | None) -> Statement:
        """Return the statement that stores the answer of a request; None means that it is too large."""
        return self._keep, {"id": answer_id, "run_id": run_id, **self._closed(text)}

    def _closed(self, text: str | None) -> dict[str, Any]:
        if text is None or len(text.encode("utf-8", "surrogatepass")) > self._most:
            return {"state": GONE, "answer": None, "size": 0}
        closed = self._box.close(text)
        return {"state": KEPT, "answer": closed, "size": len(closed)}

    def claim(self, row: dict[str, Any]) -> bool:
        """Insert the row of a request; return whether its id was new."""
        with unhurried(self._engine) as connection:
            return self.claim_in(connection, row)

    def claim_in(self, connection: Connection, row: dict[str, Any]) -> bool:
        """Like :meth:`claim`, in the transaction of the caller."""
        over = (answers.c.id == row["id"], answers.c.state != OPEN, answers.c.expires_at < row["at"])
        connection.execute(delete(answers).where(*over))
        return connection.exec_driver_sql(self._insert, row).rowcount == 1

    def find(self, answer_id: str) -> Row[Any] | None:
        """Return the row with an id; None if it does not exist or has expired."""
        with reading(self._engine) as connection:
            row = connection.execute(select(answers).where(answers.c.id == answer_id)).first()
        if row is not None and row.state != OPEN and row.expires_at < moment_text(utc_now()):
            return None
        return row

    def text_of(self, row: Row[Any]) -> str | None:
        """Return the decrypted answer of a row; None if it was encrypted with another key."""
        return None if row.answer is None else self._box.open(row.answer)

    def of_run(self, run_id: str, owner: Owner) -> str | None:
        """Return the stored result of an owner's run, or None."""
        row = self.find(run_id)
        if row is None or not (owner is EVERY_OWNER or row.owner == owner):
            return None
        return self.text_of(row)

    def begin(self, answer_id: str, run_id: str) -> None:
        """Record that the run of a request has started."""
        with unhurried(self._engine) as connection:
            connection.execute(
                update(answers).where(answers.c.id == answer_id, answers.c.run_id == run_id).values(begun=True)
            )

    def freeing(self, answer_id: str, run_id: str) -> Statement:
        """Return the statement that deletes the row of a request in progress."""
        return self._free, {"id": answer_id, "run_id": run_id}

    def write(self, statement: Statement) -> None:
        """Execute a statement in its own transaction."""
        with unhurried(self._engine) as connection:
            connection.exec_driver_sql(statement[0], dict(statement[1]))

    def processes(self) -> Sequence[str]:
        """Return the ids of the processes that have requests in progress."""
        with reading(self._engine) as connection:
            statement = select(answers.c.process).where(answers.c.state == OPEN).distinct()
            return [row[0] for row in connection.execute(statement)]

    def settle(self, process: str) -> int:
        """Close the requests of a dead process, after the ledger has closed its runs.

        Requests whose run had not started are deleted, so their keys are free again. Other requests are marked: the
        run is lost, or it had ended and its answer is lost.

        :returns: the number of requests.
        """
        theirs = (answers.c.process == process, answers.c.state == OPEN)
        ended = exists().where(runs.c.id == answers.c.run_id, runs.c.status.in_(("success", "error", "cancelled")))
        with unhurried(self._engine) as connection:
            found = connection.execute(delete(answers).where(*theirs, answers.c.begun.is_(False))).rowcount
            gone = update(answers).where(*theirs, ended).values(state=GONE)
            lost = update(answers).where(*theirs).values(state=LOST)
            return found + connection.execute(gone).rowcount + connection.execute(lost).rowcount

    def purge(self) -> int:
        """Remove expired answers, and the oldest answers of owners over their limit; return their number."""
        with unhurried(self._engine) as connection:
            removed = connection.execute(_REMOVE_OVER, {"now": moment_text(utc_now())}).rowcount
            owners = connection.execute(_OWNERS_OVER, {"most": self._most_of_owner}).all()
            for owner, total in owners:
                removed += self._shorten(connection, owner, total)
        return removed

    def _shorten(self, connection: Connection, owner: str, total: int) -> int:
        """Remove the oldest answers of an owner; their keys stay, so that the requests do not run again."""
        table = answers.c
        theirs = select(table.id, table.size).where(table.owner == owner, table.size > 0).order_by(table.at)
        surplus = []
        for row in connection.execute(theirs):
            if total <= self._most_of_owner:
                break
            total -= row.size
            surplus.append(row.id)
        for start in range(0, len(surplus), 500):
            some = surplus[start : start + 500]
            connection.execute(update(answers).where(table.id.in_(some)).values(answer=None, size=0, state=GONE))
        return len(surplus)
