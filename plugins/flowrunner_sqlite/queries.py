"""Queries of the contract as SQL.

Statements are built once per form of a query and then kept: to build one costs as much as to run it.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, bindparam, func, or_, select

from flowrunner import EVERY_OWNER, MessageQuery, cursor_gone
from flowrunner_sqlite.rows import COLUMNS, RowFormat, flow_key, micros
from flowrunner_sqlite.tables import messages, sessions

_c: Final = messages.c

#: What a full row holds: ``seq`` and then the columns of a message.
ROW: Final = ("seq", *COLUMNS)

#: Every condition, by the name under which its value is given.
_CONDITIONS: Final[dict[str, ColumnElement[bool]]] = {
    "owner": _c.owner == bindparam("owner"),
    "session": _c.session_key == bindparam("session"),
    # Written so that the index of flows does not apply: SQLite knows no numbers, and might read a whole flow
    # to find the messages of one session in it.
    "flow_key": func.coalesce("=" + _c.flow_id, "-") == bindparam("flow_key"),
    "error": _c.error == bindparam("error"),
    "ids": _c.id.in_(bindparam("ids", expanding=True)),
    "exclude_run": or_(_c.run_id.is_(None), _c.run_id != bindparam("exclude_run")),
    "since": _c.timestamp >= bindparam("since"),
    "until": _c.timestamp < bindparam("until"),
    "before": _c.seq < bindparam("before"),
    "after": _c.seq > bindparam("after"),
    "below": _c.seq < bindparam("below"),
    "above": _c.seq > bindparam("above"),
    "seqs": _c.seq.in_(bindparam("seqs", expanding=True)),
} | {
    name: _c[name] == bindparam(name)
    for name in ("flow_id", "context_id", "sender", "sender_name", "category", "run_id")
}
_EQUAL: Final = ("flow_id", "context_id", "sender", "sender_name", "category", "run_id", "exclude_run")

_MOST_IDS: Final = 5000
_MOST_OWNERS: Final = 20

#: Names of conditions and their values.
Values = dict[str, Any]


def conditions(connection: Connection, query: MessageQuery, form: RowFormat) -> Values:
    """Return the conditions of a query, but for its text, limit and offset.

    :raises NotFound: if a cursor is gone.
    """
    found: Values = {}
    if isinstance(query.owner, str):
        found["owner"] = form.escape(query.owner)
    if query.session_id is not None:
        found["session"] = form.key(query.session_id)
    for name in _EQUAL:
        wanted = getattr(query, name)
        if wanted is not None:
            found[name] = form.escape(wanted)
    if "session" in found and "flow_id" in found:
        found["flow_key"] = flow_key(found.pop("flow_id"))
    if query.error is not None:
        found["error"] = query.error
    if query.ids is not None:
        found["ids"] = [form.escape(i) for i in query.ids]
    if query.since is not None:
        found["since"] = micros(query.since)
    if query.until is not None:
        found["until"] = micros(query.until)
    if query.before is not None:
        found["before"] = _seq_of(connection, query, query.before, form)
    if query.after is not None:
        found["after"] = _seq_of(connection, query, query.after, form)
    return found


def select_rows(
    connection: Connection,
    columns: tuple[str, ...],
    where: Values,
    *,
    forward: bool,
    limit: int | None = None,
    offset: int = 0,
) -> list[Any]:
    """Return rows that fulfil all conditions.

    :param forward: oldest first, and counted from there; else newest first.
    """
    values = dict(where)
    if limit is not None:
        values["limit"] = limit
    if offset:
        values["offset"] = offset
    statement = _statement(columns, tuple(where), forward, limit is not None, bool(offset))
    return list(connection.execute(statement, values).all())


@lru_cache(maxsize=512)
def _statement(
    columns: tuple[str, ...], names: tuple[str, ...], forward: bool, limit: bool, offset: bool
) -> Select[Any]:
    statement = select(*(_c[name] for name in columns)).where(*(_CONDITIONS[name] for name in names))
    statement = statement.order_by(_c.seq if forward else _c.seq.desc())
    if limit:
        statement = statement.limit(bindparam("limit"))
    return statement.offset(bindparam("offset")) if offset else statement


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
        owners = owners_of_flow(connection, form.escape(flow_key(query.flow_id)))
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
    found = select_rows(connection, ("seq", "owner"), {"ids": [form.escape(cursor)]}, forward=True)
    if not found or not query.reaches(form.text(found[0].owner)):
        raise cursor_gone(cursor)
    return int(found[0].seq)
