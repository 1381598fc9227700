"""Iterate over many messages page by page, while others write and delete."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, Literal

from flowrunner.errors import Conflict, NotFound
from flowrunner.memory import OwnerMemory, SessionSummary
from flowrunner.memory.message import Message

PAGE: Final = 500
_MOST: Final = 8000
#: Characters of text that a page of a long walk should have, roughly.
_WEIGHT: Final = 2_000_000
_SESSIONS: Final = 500


def pages_back(memory: OwnerMemory, size: int = PAGE, **filters: Any) -> Iterator[list[Message]]:
    """Yield pages from the newest to the oldest message, each page with its oldest first.

    :param filters: members of :class:`~flowrunner.MessageQuery` but for windows and cursors.
    :raises Conflict: if all messages of a page vanish while it is held.
    """
    page = memory.fetch(limit=size, **filters)
    while page:
        yield page
        page = _neighbours(memory, page, "before", size, filters) if len(page) == size else []


def pages_forward(memory: OwnerMemory, size: int = PAGE, **filters: Any) -> Iterator[list[Message]]:
    """Yield pages in order of append, from the oldest message to the newest there is at the end.

    Pages grow while messages are small, since a store may need as long for any page.

    :param size: messages of the first page.
    :param filters: ``session_id`` or nothing.
    :raises Conflict: if all messages of a page vanish while it is held.
    """
    count = sum(summary.count for summary in each_session(memory, **filters))
    page = memory.fetch(limit=size, offset=max(0, count - size), **filters) or memory.fetch(limit=size, **filters)
    while page:
        # What was appended since the count was taken has moved the window; go back to where it all begins.
        earlier = memory.fetch(limit=size, before=page[0].id, **filters)
        if not earlier:
            break
        page = earlier
    while page:
        yield page
        weight = sum(len(message.text) for message in page)
        size = min(size * 2, _MOST) if weight < _WEIGHT // 2 else size if weight < _WEIGHT else max(size // 2, 1)
        page = _neighbours(memory, page, "after", size, filters)


def each_session(memory: OwnerMemory, **filters: Any) -> Iterator[SessionSummary]:
    """Yield all sessions, latest activity first; one that becomes active meanwhile may be left out or come twice.

    :param filters: members of :class:`~flowrunner.SessionQuery` but for windows and cursors.
    """
    page = memory.sessions(limit=_SESSIONS, **filters)
    while page:
        yield from page
        if len(page) < _SESSIONS:
            return
        page = _sessions_after(memory, page, filters)


def _sessions_after(memory: OwnerMemory, page: list[SessionSummary], filters: dict[str, Any]) -> list[SessionSummary]:
    for last in reversed(page):
        try:
            return memory.sessions(limit=_SESSIONS, after=last.session_id, after_owner=last.owner, **filters)
        except NotFound:
            continue
    raise _too_fast()


def _neighbours(
    memory: OwnerMemory, page: list[Message], side: Literal["before", "after"], size: int, filters: dict[str, Any]
) -> list[Message]:
    """Return the page beyond this one; where the message at its end is gone by now, the one next to it serves."""
    known = {message.id for message in page}
    for message in page if side == "before" else reversed(page):
        try:
            found = memory.fetch(limit=size, **{side: message.id}, **filters)
        except NotFound:
            continue
        fresh = [one for one in found if one.id not in known]
        if fresh or not found:
            return fresh
    raise _too_fast()


def _too_fast() -> Conflict:
    return Conflict("The messages were deleted faster than they could be read; try again.")
