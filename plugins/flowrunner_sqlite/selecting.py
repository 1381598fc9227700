"""Queries of the contract as conditions of SQL."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, func, or_, select

from flowrunner import EVERY_OWNER, MessageQuery, cursor_gone
from flowrunner_sqlite.rows import COLUMNS, RowFormat, micros
from flowrunner_sqlite.tables import messages, sessions

#: What a full row holds: ``seq`` and then the columns of a message.
ROW: Final = (messages.c.seq, *(messages.c[name] for name in COLUMNS))

_EQUAL: Final = ("flow_id", "context_id", "sender", "sender_name", "category", "run_id")
_MOST_IDS: Final = 5000
_MOST_OWNERS: Final = 64


def conditions(connection: Connection, query: MessageQuery, form: RowFormat) -> list[ColumnElement[bool]]:
    """Return the conditions of a query, but for its text, limit and offset.

    :raises NotFound: if a cursor is gone.
    """
    c = messages.c
    found: list[ColumnElement[bool]] = []
    if isinstance(query.owner, str):
        found.append(c.owner == form.escape(query.owner))
    if query.session_id is not None:
        found.append(c.session_key == form.key(query.session_id))
    for name in _EQUAL:
        wanted = getattr(query, name)
        if wanted is not None:
            found.append(c[name] == form.escape(wanted))
    if query.error is not None:
        found.append(c.error.is_(query.error))
    if query.ids is not None:
        found.append(c.id.in_([form.escape(i) for i in query.ids]))
    if query.exclude_run is not None:
        found.append(or_(c.run_id.is_(None), c.run_id != form.escape(query.exclude_run)))
    if query.since is not None:
        found.append(c.timestamp >= micros(query.since))
    if query.until is not None:
        found.append(c.timestamp < micros(query.until))
    if query.before is not None:
        found.append(c.seq < _seq_of(connection, query, query.before, form))
    if query.after is not None:
        found.append(c.seq > _seq_of(connection, query, query.after, form))
    return found


def in_order(statement: Select[Any], query: MessageQuery) -> Select[Any]:
    """Order rows as limit and offset count them: newest first, or oldest first behind a cursor."""
    return statement.order_by(messages.c.seq if query.after is not None else messages.c.seq.desc())


def in_window(statement: Select[Any], query: MessageQuery) -> Select[Any]:
    """Keep what limit and offset leave."""
    statement = in_order(statement, query)
    if query.limit is not None:
        statement = statement.limit(query.limit)
    return statement.offset(query.offset) if query.offset else statement


def parts(connection: Connection, query: MessageQuery, form: RowFormat) -> Iterator[MessageQuery]:
    """Split a query that no single index answers into queries that one does.

    That is so for very many ids, and for a flow's messages of every owner: the index of flows goes
    by owner, because most queries have one. Where too many owners have the flow, it stays whole.
    """
    if query.ids is not None and len(query.ids) > _MOST_IDS:
        ids = tuple(dict.fromkeys(query.ids))
        for start in range(0, len(ids), _MOST_IDS):
            yield query.replace(ids=ids[start : start + _MOST_IDS])
    elif query.owner is EVERY_OWNER and query.flow_id is not None and query.session_id is None and query.ids is None:
        owners = owners_of_flow(connection, form.escape("=" + query.flow_id))
        for owner in owners or (query.owner,):
            yield query.replace(owner=form.text(owner) if isinstance(owner, str) else owner)
    else:
        yield query


def owners_of_flow(connection: Connection, flow: str | None) -> list[str]:
    """Return the owners of a flow's messages, or of any; an empty list if they are too many.

    It looks up one owner after the other, each in the index, because a plain DISTINCT reads it all.
    """
    owners: list[str] = []
    found: str | None = ""
    while len(owners) <= _MOST_OWNERS:
        statement = select(func.min(sessions.c.owner))
        if owners:
            statement = statement.where(sessions.c.owner > owners[-1])
        if flow is not None:
            statement = statement.where(sessions.c.flow_key == flow)
        found = connection.execute(statement).scalar()
        if found is None:
            return owners
        owners.append(found)
    return []


def _seq_of(connection: Connection, query: MessageQuery, cursor: str, form: RowFormat) -> int:
    found = connection.execute(
        select(messages.c.seq, messages.c.owner).where(messages.c.id == form.escape(cursor))
    ).first()
    if found is None or not query.reaches(form.text(found.owner)):
        raise cursor_gone(cursor)
    return int(found.seq)
