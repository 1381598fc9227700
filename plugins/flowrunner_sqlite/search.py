"""Messages that contain all given words: an index narrows them, the words themselves decide."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, select

from flowrunner import MessageQuery, fold
from flowrunner_sqlite.rows import RowFormat
from flowrunner_sqlite.search_index import SearchIndex
from flowrunner_sqlite.selecting import in_order
from flowrunner_sqlite.tables import messages

_BATCH: Final = 500


def find_texts(
    connection: Connection,
    query: MessageQuery,
    where: Sequence[ColumnElement[bool]],
    form: RowFormat,
    index: SearchIndex,
) -> list[int]:
    """Return the ``seq`` of the messages that a query with text means, oldest first.

    Candidates are looked through in the order in which the limit counts them, so a search that
    finds enough among the newest messages looks at no others.
    """
    words = query.words()
    enough = None if query.limit is None else query.limit + query.offset
    found: list[int] = []
    for seq, text in _candidates(connection, query, where, index):
        if enough is not None and len(found) >= enough:
            break
        folded = fold(form.text(text))
        if all(word in folded for word in words):
            found.append(seq)
    if query.after is None:
        found.reverse()
    return query.window(found)


def _candidates(
    connection: Connection, query: MessageQuery, where: Sequence[ColumnElement[bool]], index: SearchIndex
) -> Iterator[tuple[int, str]]:
    # The messages of one session are few, and at hand by their own index.
    known = 0 if query.session_id is not None else index.reaches(connection, query.words())
    new = _scan(connection, query, [*where, messages.c.seq > known] if known else where)
    if not known:
        yield from new
    elif query.after is not None:
        yield from _look_up(connection, query, where, index, known)
        yield from new
    else:
        yield from new
        yield from _look_up(connection, query, where, index, known)


def _scan(
    connection: Connection, query: MessageQuery, where: Sequence[ColumnElement[bool]]
) -> Iterator[tuple[int, str]]:
    """Go through all messages that fulfil the conditions, some at a time."""
    c = messages.c
    last: int | None = None
    while True:
        behind = [] if last is None else [c.seq > last if query.after is not None else c.seq < last]
        statement = in_order(select(c.seq, c.text).where(*where, *behind), query).limit(_BATCH)
        page: list[Any] = list(connection.execute(statement).all())
        yield from page
        if len(page) < _BATCH:
            return
        last = page[-1][0]


def _look_up(
    connection: Connection,
    query: MessageQuery,
    where: Sequence[ColumnElement[bool]],
    index: SearchIndex,
    known: int,
) -> Iterator[tuple[int, str]]:
    """Go through the messages that the index names, some at a time."""
    c = messages.c
    forward = query.after is not None
    for some in index.look_up(connection, query.words(), known, forward=forward, size=_BATCH):
        rows: list[Any] = list(
            connection.execute(in_order(select(c.seq, c.text).where(c.seq.in_(some), *where), query)).all()
        )
        yield from rows
