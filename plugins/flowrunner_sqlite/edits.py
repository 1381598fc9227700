"""Edit and delete messages, and keep order, sessions and search up to date.

Everything here happens within one transaction that its caller opens.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any, Final

from sqlalchemy import Connection, bindparam

from flowrunner import MessageChanges
from flowrunner_sqlite.queries import select_rows
from flowrunner_sqlite.rows import RowFormat, flow_key
from flowrunner_sqlite.search_index import SearchIndex
from flowrunner_sqlite.summaries import Key, recount
from flowrunner_sqlite.tables import messages

#: What must be known of a message to change or remove it.
FACTS: Final = ("seq", "id", "owner", "session_key", "flow_id", "timestamp", "text")

_MOST: Final = 5000


def change_rows(
    connection: Connection, rows: Sequence[Any], changes: MessageChanges, form: RowFormat, index: SearchIndex
) -> list[int]:
    """Change messages.

    :param rows: :data:`FACTS` of those that are meant.
    :returns: their ``seq`` as it is then, oldest first.
    """
    values = form.to_columns(changes.given())
    moving = [row for row in rows if row.session_key != values.get("session_key", row.session_key)]
    merging = _present(connection, moving, values.get("session_key", ""))
    places = _merged_order([*moving, *merging]) if merging else {}
    meant = {row.id for row in rows}
    known = {row.id: row for row in (*rows, *merging)}
    indexed = [row for i, row in known.items() if i in places or (i in meant and "text" in values)]
    index.forget(connection, [(row.seq, form.text(row.text)) for row in indexed])
    for some in _chunks([row.seq for row in rows]):
        if values:
            connection.execute(messages.update().where(messages.c.seq.in_(some)).values(**values))
    _renumber(connection, places)
    index.learn(connection, [(places.get(r.id, r.seq), _text_then(r, meant, changes, form)) for r in indexed])
    if moving:
        recount(connection, _moved(moving, merging, values["session_key"]))
    return sorted(places.get(row.id, row.seq) for row in rows)


def _text_then(row: Any, meant: Set[str], changes: MessageChanges, form: RowFormat) -> str:
    changed = row.id in meant and changes.text is not None
    return str(changes.text if changed else form.text(row.text))


def remove_rows(connection: Connection, rows: Sequence[Any], form: RowFormat, index: SearchIndex) -> None:
    """Remove messages.

    :param rows: :data:`FACTS` of those that are meant.
    """
    index.forget(connection, [(row.seq, form.text(row.text)) for row in rows])
    for some in _chunks([row.seq for row in rows]):
        connection.execute(messages.delete().where(messages.c.seq.in_(some)))
    lost: Counter[Key] = Counter()
    for row in rows:
        lost[row.session_key, row.owner, flow_key(row.flow_id)] -= 1
    recount(connection, lost)


def _present(connection: Connection, moving: Sequence[Any], session: str) -> list[Any]:
    """Return the facts of what the session, of each owner concerned, holds already."""
    found: list[Any] = []
    for owner in sorted({row.owner for row in moving}):
        found += select_rows(connection, FACTS, {"session": session, "owner": owner}, forward=True)
    return found


def _merged_order(rows: Sequence[Any]) -> dict[str, int]:
    """Return the new ``seq`` of each message of a merged session that gets another one, by id.

    The messages share out the numbers that they had before. So no number is given twice, nothing
    moves in other sessions, and a session does not become active by being merged.
    """
    places: dict[str, int] = {}
    for owner in {row.owner for row in rows}:
        old = sorted((row for row in rows if row.owner == owner), key=lambda row: row.seq)
        new = sorted(old, key=lambda row: row.timestamp)
        places |= {row.id: slot.seq for row, slot in zip(new, old, strict=True) if row.seq != slot.seq}
    return places


def _renumber(connection: Connection, places: Mapping[str, int]) -> None:
    if not places:
        return
    c = messages.c
    statement = messages.update().where(c.id == bindparam("which")).values(seq=bindparam("place"))
    # Two messages cannot have one number even for a moment, so all step aside first.
    connection.execute(statement, [{"which": i, "place": -place} for i, place in places.items()])
    connection.execute(statement, [{"which": i, "place": place} for i, place in places.items()])


def _moved(moving: Sequence[Any], merging: Sequence[Any], session: str) -> dict[Key, int]:
    """Return what each session and flow gains and loses; 0 where only the order changes."""
    changes: dict[Key, int] = {(session, row.owner, flow_key(row.flow_id)): 0 for row in merging}
    for row in moving:
        flow = flow_key(row.flow_id)
        for key, change in (((row.session_key, row.owner, flow), -1), ((session, row.owner, flow), 1)):
            changes[key] = changes.get(key, 0) + change
    return changes


def _chunks(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(values), _MOST):
        yield values[start : start + _MOST]
