"""Full-text search: an index narrows the candidates, the words themselves decide."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import Connection

from flowrunner import MessageQuery, fold
from flowrunner_sqlite.queries import Values, select_rows
from flowrunner_sqlite.rows import RowFormat
from flowrunner_sqlite.search_index import SearchIndex

_BATCH: Final = 500
_COLUMNS: Final = ("seq", "text")


def find_texts(
    connection: Connection, query: MessageQuery, where: Values, form: RowFormat, index: SearchIndex
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
    connection: Connection, query: MessageQuery, where: Values, index: SearchIndex
) -> Iterator[tuple[int, str]]:
    forward = query.after is not None
    # The messages of one session are few, and at hand by their own index.
    known = 0 if query.session_id is not None else index.reaches(connection, query.words())
    new = _scan(connection, {**where, "above": known} if known else where, forward)
    if not known:
        yield from new
    elif forward:
        yield from _look_up(connection, query, where, index, known)
        yield from new
    else:
        yield from new
        yield from _look_up(connection, query, where, index, known)


def _scan(connection: Connection, where: Values, forward: bool) -> Iterator[tuple[int, str]]:
    """Go through all messages that fulfil the conditions, some at a time."""
    page = select_rows(connection, _COLUMNS, where, forward=forward, limit=_BATCH)
    yield from page
    while len(page) == _BATCH:
        behind: Values = {"above" if forward else "below": page[-1].seq}
        page = select_rows(connection, _COLUMNS, {**where, **behind}, forward=forward, limit=_BATCH)
        yield from page


def _look_up(
    connection: Connection, query: MessageQuery, where: Values, index: SearchIndex, known: int
) -> Iterator[tuple[int, str]]:
    """Go through the messages that the index names, some at a time."""
    forward = query.after is not None
    first = _BATCH if query.limit is None else min(_BATCH, 2 * (query.limit + query.offset) + 10)
    for some in index.look_up(connection, query.words(), known, forward=forward, first=first):
        rows: list[Any] = select_rows(connection, _COLUMNS, {**where, "seqs": some}, forward=forward)
        yield from rows
