"""The table of sessions: maintained on changes, read for listings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    bindparam,
    exists,
    func,
    literal,
    select,
    tuple_,
)

from flowrunner import EVERY_OWNER, SessionQuery, SessionSummary, cursor_gone
from flowrunner_sqlite.queries import owners_of_flow, select_rows
from flowrunner_sqlite.rows import RowFormat, flow_key, moment
from flowrunner_sqlite.tables import sessions

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
    where: dict[str, Any] = {}
    if query.flow_id is not None:
        where["flow"] = form.escape(flow_key(query.flow_id))
    if query.after is not None:
        where["before"] = _activity(connection, query, form)
    if query.session_id is not None:
        where["session"] = form.key(query.session_id)
    owners: Sequence[str] = (form.escape(query.owner),) if isinstance(query.owner, str) else ()
    if query.owner is EVERY_OWNER:
        owners = owners_of_flow(connection, where.get("flow"))
    enough = None if query.limit is None else query.offset + query.limit
    found: list[Any] = []
    # Each owner has a place in the index, so few owners one by one are faster than all at once.
    for one in [{"owner": owner} for owner in owners] or [{}]:
        pages = _pages(connection, {**where, **one}, _PAGE if query.contains or enough is None else enough)
        meant = (row for row in pages if query.matches(form.session_id(row.session_key, row.long_session_id)))
        found += islice(meant, enough)
    found.sort(key=lambda row: row.last_seq, reverse=True)
    return _summaries(connection, query, form, found[query.offset : enough])


def _end(connection: Connection, session: str, owner: str, flow: str, *, newest: bool) -> Any:
    """Return seq, timestamp and long session id of the first or the newest message of a session and flow."""
    where = {"session": session, "owner": owner, "flow_key": flow}
    found = select_rows(connection, ("seq", "timestamp", "long_session_id"), where, forward=not newest, limit=1)
    return found[0] if found else None


def _activity(connection: Connection, query: SessionQuery, form: RowFormat) -> int:
    """Return the newest seq of the session that ``after`` names."""
    c = sessions.c
    owner = query.owner if isinstance(query.owner, str) else query.after_owner
    where = [c.session_key == form.key(query.after or "")]
    if query.flow_id is not None:
        where.append(c.flow_key == form.escape(flow_key(query.flow_id)))
    if owner is not None:
        where.append(c.owner == form.escape(owner))
    newest = select(func.max(c.last_seq)).where(*where).group_by(c.owner)
    places = connection.execute(newest).scalars().all()
    if not places:
        raise cursor_gone(query.after or "")
    return int(min(places))


def _pages(connection: Connection, where: dict[str, Any], size: int) -> Iterator[Any]:
    """Go through the rows of sessions, latest activity first: of each session the one that was active last."""
    while True:
        page = connection.execute(_statement(tuple(where)), {**where, "size": size}).all()
        yield from page
        if len(page) < size or not page:
            return
        where = {**where, "before": page[-1].last_seq}


@lru_cache(maxsize=64)
def _statement(names: tuple[str, ...]) -> Select[Any]:
    """Return the statement that reads a page; to build it costs more than to run it."""
    c, other = sessions.c, sessions.alias()
    conditions: dict[str, ColumnElement[bool]] = {
        "owner": c.owner == bindparam("owner"),
        "flow": c.flow_key == bindparam("flow"),
        "session": c.session_key == bindparam("session"),
        "before": c.last_seq < bindparam("before"),
    }
    same = and_(other.c.session_key == c.session_key, other.c.owner == c.owner)
    flows = literal(1) if "flow" in names else select(func.count()).where(same).scalar_subquery()
    statement = select(sessions, flows.label("flows")).where(*(conditions[name] for name in names))
    if "flow" not in names:
        statement = statement.where(~exists(select(other.c.last_seq).where(same, other.c.last_seq > c.last_seq)))
    return statement.order_by(c.last_seq.desc()).limit(bindparam("size"))


def _summaries(
    connection: Connection, query: SessionQuery, form: RowFormat, page: Sequence[Any]
) -> list[SessionSummary]:
    """Return the summaries of sessions; those with several flows are put together from several rows."""
    rows: dict[tuple[str, str], list[Any]] = {
        (row.session_key, row.owner): [row] if row.flows == 1 else [] for row in page
    }
    several = [key for key, found in rows.items() if not found]
    for start in range(0, len(several), _PAGE):
        some = several[start : start + _PAGE]
        keys = tuple_(sessions.c.session_key, sessions.c.owner)
        for row in connection.execute(select(sessions).where(keys.in_(some))):
            rows[row.session_key, row.owner].append(row)
    return [_summary(rows[row.session_key, row.owner], form) for row in page]


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
