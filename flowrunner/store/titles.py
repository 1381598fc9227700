"""Titles of sessions, which users set; the memory backend, which holds the messages, has no titles."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Final

from sqlalchemy import ColumnElement, Connection, Engine, delete, insert, select, update

from flowrunner.store.engine import go_alone, reading, writing
from flowrunner.store.tables import titles
from flowrunner.text.digests import digest_of
from flowrunner.text.json_text import json_text

LONGEST_TITLE: Final = 200
#: The maximum number of rows per statement.
_AT_ONCE: Final = 500


class TitleStore:
    """The session titles of one runner, by owner. Sessions are identified by digests, since ids may be long."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def set(self, owner: str, session_id: str, title: str) -> None:
        """Set or replace the title of a session; an empty title removes it."""
        with writing(self._engine) as connection:
            go_alone(connection, f"titles of {owner}")
            _remove(connection, owner, [session_id])
            if title:
                values = {"owner": owner, "session": digest_of(session_id), "session_id": json_text(session_id)}
                connection.execute(insert(titles).values(**values, title=title, folded=title.casefold()))

    def forget_unused(self, is_used: Callable[[str, str], object], stopped: Callable[[], bool]) -> None:
        """Remove the titles of sessions without messages.

        :param is_used: returns whether an owner has messages in a session.
        :param stopped: checked regularly; returns True to stop.
        """
        after = ("", "")
        while not stopped() and (rows := self.all(after)):
            for owner, digest, session_id in rows:
                after = (owner, digest)
                if not is_used(owner, session_id):
                    self.remove(owner, [session_id])

    def of(self, owner: str, session_ids: Iterable[str]) -> dict[str, str]:
        """Return the titles of sessions by session id, for those that have one."""
        wanted, found = list(session_ids), dict[str, str]()
        with reading(self._engine) as connection:
            for start in range(0, len(wanted), _AT_ONCE):
                digests = {digest_of(session_id): session_id for session_id in wanted[start : start + _AT_ONCE]}
                query = select(titles.c.session, titles.c.title).where(_of(owner, list(digests)))
                found.update((digests[row.session], row.title) for row in connection.execute(query))
        return found

    def find(self, owner: str, text: str, limit: int) -> list[str]:
        """Return the ids of sessions whose title contains a text, ignoring case."""
        same = (titles.c.owner == owner, titles.c.folded.contains(text.casefold(), autoescape=True))
        query = select(titles.c.session_id).where(*same).order_by(titles.c.folded, titles.c.session).limit(limit)
        with reading(self._engine) as connection:
            return [json.loads(text) for text in connection.execute(query).scalars()]

    def move(self, owner: str, old: str, new: str) -> None:
        """Move the title of a renamed session to its new id; an existing title there is kept."""
        if old == new:
            return
        with writing(self._engine) as connection:
            go_alone(connection, f"titles of {owner}")
            if connection.execute(select(titles.c.title).where(_of(owner, [digest_of(new)]))).first() is None:
                values = {"session": digest_of(new), "session_id": json_text(new)}
                connection.execute(update(titles).where(_of(owner, [digest_of(old)])).values(**values))
            _remove(connection, owner, [old])

    def remove(self, owner: str, session_ids: Iterable[str]) -> None:
        """Remove the titles of sessions."""
        wanted = list(session_ids)
        with writing(self._engine) as connection:
            for start in range(0, len(wanted), _AT_ONCE):
                _remove(connection, owner, wanted[start : start + _AT_ONCE])

    def all(self, after: tuple[str, str] = ("", ""), limit: int = _AT_ONCE) -> list[tuple[str, str, str]]:
        """Return owner, digest and session id of titles, in this order, after a given owner and digest."""
        behind = (titles.c.owner > after[0]) | ((titles.c.owner == after[0]) & (titles.c.session > after[1]))
        query = select(titles.c.owner, titles.c.session, titles.c.session_id).where(behind)
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(titles.c.owner, titles.c.session).limit(limit)).all()
        return [(row.owner, row.session, json.loads(row.session_id)) for row in rows]


def give_titles(connection: Connection, source: str, target: str) -> None:
    """Transfer the titles of one owner to another; existing titles of the new owner are kept."""
    theirs = select(titles.c.session).where(titles.c.owner == target)
    both = select(titles.c.session).where(titles.c.owner == source, titles.c.session.in_(theirs))
    taken = list(connection.execute(both).scalars())
    for start in range(0, len(taken), _AT_ONCE):
        connection.execute(delete(titles).where(_of(source, taken[start : start + _AT_ONCE])))
    connection.execute(update(titles).where(titles.c.owner == source).values(owner=target))


def _remove(connection: Connection, owner: str, session_ids: Iterable[str]) -> None:
    connection.execute(delete(titles).where(_of(owner, [digest_of(session_id) for session_id in session_ids])))


def _of(owner: str, digests: list[str]) -> ColumnElement[bool]:
    return (titles.c.owner == owner) & titles.c.session.in_(digests)
