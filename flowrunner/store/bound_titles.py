"""The session titles of one caller."""

from __future__ import annotations

from collections.abc import Iterable

from flowrunner.authority import Capability, require
from flowrunner.errors import NotAllowed, RequestInvalid
from flowrunner.identity import Identity
from flowrunner.store.titles import LONGEST_TITLE, TitleStore
from flowrunner.text.json_text import is_unicode


class TitlesOfCaller:
    """The session titles of one caller.

    Keys limited to certain flows cannot use titles, since a title may reveal messages of other flows in the session.
    """

    def __init__(self, store: TitleStore, identity: Identity) -> None:
        self._store = store
        self._identity = identity

    def of(self, session_ids: Iterable[str]) -> dict[str, str]:
        """Return the titles of the caller's sessions, for those that have one."""
        require(self._identity, Capability.CONVERSE, change=False)
        return {} if self._is_limited else self._store.of(self._identity.id, session_ids)

    def find(self, text: str, limit: int) -> list[str]:
        """Return the ids of the caller's sessions whose title contains a text, ignoring case."""
        require(self._identity, Capability.CONVERSE, change=False)
        return [] if self._is_limited else self._store.find(self._identity.id, text, limit)

    def set(self, session_id: str, title: str) -> str:
        """Set the title of a session and return it as stored; an empty title removes it.

        :raises NotAllowed: for a key limited to certain flows.
        :raises RequestInvalid: for a title that is too long or cannot be stored.
        """
        require(self._identity, Capability.CONVERSE)
        if self._is_limited:
            raise NotAllowed("This API key is limited to certain flows and cannot set titles; use another key.")
        line = " ".join(title.split())
        if len(line) > LONGEST_TITLE or "\0" in line or not is_unicode(line):
            said = f"A title must be a string of at most {LONGEST_TITLE} characters"
            raise RequestInvalid(f"title: {said}.", [{"type": "value_error", "loc": ["body", "title"], "msg": said}])
        self._store.set(self._identity.id, session_id, line)
        return line

    def move(self, old: str, new: str) -> None:
        """Move the title of a renamed session to its new id."""
        require(self._identity, Capability.CONVERSE)
        self._store.move(self._identity.id, old, new)

    def remove(self, session_ids: Iterable[str]) -> None:
        """Remove the titles of deleted sessions."""
        require(self._identity, Capability.CONVERSE)
        self._store.remove(self._identity.id, session_ids)

    @property
    def _is_limited(self) -> bool:
        return self._identity.flows is not None
