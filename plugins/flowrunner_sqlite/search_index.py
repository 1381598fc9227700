"""A trigram index of message texts: FTS5 on SQLite, pg_trgm on PostgreSQL.

It is made when somebody first searches a store that is worth it, and follows when somebody
searches again or many messages have come: an append never waits for it. It is derived from the
messages, so losing it loses nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Engine, func, select
from sqlalchemy.exc import DBAPIError

from flowrunner import fold, reading
from flowrunner_sqlite.failures import driver_error, failed
from flowrunner_sqlite.rows import RowFormat
from flowrunner_sqlite.tables import messages, search_state
from flowrunner_sqlite.trigrams import FtsTrigrams, PostgresTrigrams, Trigrams
from flowrunner_sqlite.writer import GroupCommit

logger = logging.getLogger("flowrunner")

#: So many messages are looked through without any index in a few milliseconds.
WORTH_AN_INDEX: Final = 2000
#: A search takes at most that many messages into the index before it answers.
_MOST_AT_ONCE: Final = 20_000
_BATCH: Final = 2000
#: After so many appends of one process, an index that is there follows.
FOLLOW_AFTER: Final = 5000


class SearchIndex:
    """Knows in which messages words may stand; see the module."""

    def __init__(self, engine: Engine, writer: GroupCommit, form: RowFormat) -> None:
        self._engine = engine
        self._writer = writer
        self._form = form
        self._trigrams: Trigrams = PostgresTrigrams() if engine.dialect.name == "postgresql" else FtsTrigrams()
        self._available = True
        self._since = 0

    def reaches(self, connection: Connection, words: Sequence[str]) -> int:
        """Return up to which ``seq`` the index answers for these words; 0: not at all."""
        if not self._available or not any(len(word) >= 3 for word in words):
            return 0
        return self._indexed_to(connection)

    def look_up(
        self, connection: Connection, words: Sequence[str], known: int, *, forward: bool, first: int
    ) -> Iterator[list[int]]:
        """Go through the ``seq`` of all messages in which the words may stand.

        They come some at a time: few at first, because most searches want few, then more and more.

        :param first: how many come first.
        """
        long = [_indexable(word) for word in words if len(word) >= 3]
        low, high, size = 0, known + 1, first
        while True:
            some = self._trigrams.look_up(connection, long, low, high, forward=forward, size=size)
            if some:
                yield some
            if len(some) < size:
                return
            low, high = (some[-1], high) if forward else (low, some[-1])
            size = min(4 * size, _BATCH)

    def catch_up(self, most: int = _MOST_AT_ONCE) -> None:
        """Take in messages that came since the last time, if there are enough to make it worth while.

        A failure is logged and leaves the index where it is: searches then look through the rest.
        """
        if not self._available:
            return
        try:
            with reading(self._engine) as connection:
                newest = connection.execute(select(func.max(messages.c.seq))).scalar() or 0
                known = self._indexed_to(connection)
            if newest - known < WORTH_AN_INDEX or not (known or self._make()):
                return
            for _ in range(0, most, _BATCH):
                if not self._take_in():
                    return
        except (DBAPIError, driver_error(self._engine)) as error:
            logger.warning("The search index cannot be updated: %s", failed(error).message)

    def is_due(self, appended: int) -> bool:
        """Count messages that were appended; say whether it is time to :meth:`follow`."""
        self._since += appended
        return self._since >= FOLLOW_AFTER

    def follow(self) -> None:
        """Take in what was appended, if there is an index."""
        self._since = 0
        with reading(self._engine) as connection:
            there = self._indexed_to(connection) > 0
        if there:
            self.catch_up()

    def forget(self, connection: Connection, rows: Iterable[tuple[int, str]]) -> None:
        """Leave out messages that are changed, moved or removed in this transaction.

        :param rows: their ``seq`` and text, as they were.
        """
        self._change(connection, rows, self._trigrams.remove)

    def learn(self, connection: Connection, rows: Iterable[tuple[int, str]]) -> None:
        """Take in messages that were changed or moved in this transaction."""
        self._change(connection, rows, self._trigrams.add)

    def _change(self, connection: Connection, rows: Iterable[tuple[int, str]], change: Any) -> None:
        known = self._indexed_to(connection)
        some = [(seq, _indexable(fold(body))) for seq, body in rows if seq <= known]
        if some:
            change(connection, some)

    def _indexed_to(self, connection: Connection) -> int:
        return int(connection.execute(select(search_state.c.indexed_to)).scalar() or 0)

    def _make(self) -> bool:
        """Make the index if it is not there; say whether this database can have one."""
        try:
            with self._writer.transaction() as connection:
                self._trigrams.make(connection)
        except DBAPIError as error:
            if error.connection_invalidated or any(word in str(error.orig) for word in ("locked", "full")):
                raise
            self._available = False
            logger.info("Searches run without an index, which this database does not support: %s", error.orig)
        return self._available

    def _take_in(self) -> bool:
        """Index the next messages; say whether there may be more."""
        with self._writer.transaction() as connection:
            known = self._indexed_to(connection)
            rows = connection.execute(
                select(messages.c.seq, messages.c.text)
                .where(messages.c.seq > known)
                .order_by(messages.c.seq)
                .limit(_BATCH)
            ).all()
            if not rows:
                return False
            self._trigrams.add(connection, [(seq, _indexable(fold(self._form.text(body)))) for seq, body in rows])
            reached = rows[-1].seq
            updated = connection.execute(search_state.update().values(indexed_to=reached))
            if not updated.rowcount:
                connection.execute(search_state.insert().values(id=1, indexed_to=reached))
            return len(rows) == _BATCH


def _indexable(folded: str) -> str:
    """Return a folded text as the index takes it; neither of the two takes NUL."""
    return folded.replace("\0", "\ufffd")
