"""The table of sessions: kept right after changes, and read for the list."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, and_, exists, func, select, tuple_

from flowrunner import EVERY_OWNER, SessionQuery, SessionSummary, cursor_gone
from flowrunner_sqlite.rows import RowFormat, moment
from flowrunner_sqlite.selecting import owners_of_flow
from flowrunner_sqlite.tables import messages, sessions

#: Session key, owner and flow key: what a row of the table stands for.
Key = tuple[str, str, str]

_PAGE: Final = 200


def recount(connection: Connection, changes: Mapping[Key, int]) -> None:
    """Bring rows up to date after messages were removed or moved.

    :param changes: how many messages each session and flow has gained, or lost (below 0).
    """
    for (session, owner, flow), change in changes.items():
        here = and_(sessions.c.session_key == session, sessions.c.owner == owner, sessions.c.flow_key == flow)
        first = _end(connection, session, owner, flow, newest=False)
        if first is None:
            connection.execute(sessions.delete().where(here))
            continue
        last = _end(connection, session, owner, flow, newest=True)
        ends = {"first_seq": first.seq, "first_at": first.timestamp, "last_seq": last.seq, "last_at": last.timestamp}
        updated = connection.execute(sessions.update().where(here).values(count=sessions.c.count + change, **ends))
        if not updated.rowcount:
            connection.execute(
                sessions.insert().values(
                    session_key=session,
                    owner=owner,
                    flow_key=flow,
                    long_session_id=first.long_session_id,
                    count=change,
                    **ends,
                )
            )


def list_sessions(connection: Connection, query: SessionQuery, form: RowFormat) -> list[SessionSummary]:
    """Return the sessions meant, latest activity first.

    :raises NotFound: if the session that ``after`` names is gone.
    """
    before = None if query.after is None else _activity(connection, query, form)
    owners: Sequence[str] = (form.escape(query.owner),) if isinstance(query.owner, str) else ()
    if query.owner is EVERY_OWNER:
        flow = None if query.flow_id is None else form.escape("=" + query.flow_id)
        owners = owners_of_flow(connection, flow)
    enough = None if query.limit is None else query.offset + query.limit
    found: list[Any] = []
    # Each owner has a place in the index, so few owners one by one are faster than all at once.
    for owner in owners or (None,):
        newest = _rows(connection, query, form, owner, before)
        found += _take((row for row in newest if query.matches(form.session_id(row[0], row[2]))), enough)
    found.sort(key=lambda row: row.last_seq, reverse=True)
    return _summaries(connection, query, form, found[query.offset : enough])


def _end(connection: Connection, session: str, owner: str, flow: str, *, newest: bool) -> Any:
    """Return seq, timestamp and long session id of the first or the newest message of a session and flow."""
    c = messages.c
    in_flow = c.flow_id.is_(None) if flow == "-" else c.flow_id == flow[1:]
    return connection.execute(
        select(c.seq, c.timestamp, c.long_session_id)
        .where(c.session_key == session, c.owner == owner, in_flow)
        .order_by(c.seq.desc() if newest else c.seq)
        .limit(1)
    ).first()


def _activity(connection: Connection, query: SessionQuery, form: RowFormat) -> int:
    """Return the newest seq of the session that ``after`` names."""
    c = sessions.c
    owner = query.owner if isinstance(query.owner, str) else query.after_owner
    where = [c.session_key == form.key(query.after or ""), *_of_flow(query, form)]
    if owner is not None:
        where.append(c.owner == form.escape(owner))
    newest = select(func.max(c.last_seq)).where(*where).group_by(c.owner)
    places = connection.execute(newest).scalars().all()
    if not places:
        raise cursor_gone(query.after or "")
    return int(min(places))


def _of_flow(query: SessionQuery, form: RowFormat) -> list[ColumnElement[bool]]:
    return [] if query.flow_id is None else [sessions.c.flow_key == form.escape("=" + query.flow_id)]


def _rows(
    connection: Connection, query: SessionQuery, form: RowFormat, owner: str | None, before: int | None
) -> Iterator[Any]:
    """Go through one owner's sessions, or everybody's: key, owner, long id, newest seq; latest activity first."""
    c, other = sessions.c, sessions.alias()
    where = _of_flow(query, form)
    if owner is not None:
        where.append(c.owner == owner)
    if query.session_id is not None:
        where.append(c.session_key == form.key(query.session_id))
    if query.flow_id is None:
        later = and_(other.c.session_key == c.session_key, other.c.owner == c.owner, other.c.last_seq > c.last_seq)
        where.append(~exists(select(other.c.last_seq).where(later)))
    size = _PAGE if query.contains or query.limit is None else query.offset + query.limit
    while True:
        behind = [] if before is None else [c.last_seq < before]
        page = connection.execute(
            select(c.session_key, c.owner, c.long_session_id, c.last_seq)
            .where(*where, *behind)
            .order_by(c.last_seq.desc())
            .limit(size)
        ).all()
        yield from page
        if len(page) < size or not page:
            return
        before = page[-1].last_seq


def _take(rows: Iterable[Any], enough: int | None) -> list[Any]:
    found: list[Any] = []
    for row in rows:
        if enough is not None and len(found) >= enough:
            break
        found.append(row)
    return found


def _summaries(
    connection: Connection, query: SessionQuery, form: RowFormat, page: Sequence[Any]
) -> list[SessionSummary]:
    flows: dict[tuple[str, str], list[Any]] = {(row.session_key, row.owner): [] for row in page}
    keys = list(flows)
    for start in range(0, len(keys), _PAGE):
        some = keys[start : start + _PAGE]
        rows = connection.execute(
            select(sessions).where(tuple_(sessions.c.session_key, sessions.c.owner).in_(some), *_of_flow(query, form))
        )
        for row in rows:
            flows[row.session_key, row.owner].append(row)
    return [_summary(flows[row.session_key, row.owner], form) for row in page]


def _summary(rows: Sequence[Any], form: RowFormat) -> SessionSummary:
    first = min(rows, key=lambda row: row.first_seq)
    last = max(rows, key=lambda row: row.last_seq)
    return SessionSummary(
        owner=form.text(first.owner),
        session_id=form.session_id(first.session_key, first.long_session_id),
        flow_ids=tuple(sorted(form.text(row.flow_key[1:]) for row in rows if row.flow_key != "-")),
        count=sum(row.count for row in rows),
        first_at=moment(first.first_at),
        last_at=moment(last.last_at),
    )
