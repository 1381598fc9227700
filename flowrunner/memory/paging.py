"""Iterate over many messages page by page, while others write and delete."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import Any, Final, Literal

from flowrunner.errors import Conflict, NotFound
from flowrunner.memory import OwnerMemory, SessionSummary
from flowrunner.memory.message import Message

PAGE: Final = 500
_MOST: Final = 8000
#: The number of messages of the first page, when their size is not known yet.
_FIRST: Final = 26
#: The approximate size of a page in characters.
_WEIGHT: Final = 2_000_000
_SESSIONS: Final = 500


def pages_back(memory: OwnerMemory, size: int = PAGE, **filters: Any) -> Iterator[list[Message]]:
    """Yield pages from the newest to the oldest message, each page with its oldest first.

    :param filters: members of :class:`~flowrunner.MessageQuery` but for windows and cursors.
    :raises Conflict: if all messages of a page vanish while it is held.
    """
    most, size = size, min(size, _FIRST)
    page = memory.fetch(limit=size, **filters)
    while page:
        yield page
        if len(page) < size:
            return
        size = _next_size(page, size, most)
        page = _neighbours(memory, page, "before", size, filters)


#: Characters of a page of anything; one entry may have more, and is a page of its own then.
MOST_CHARACTERS: Final = 16 * 1024 * 1024


def fitting(sizes: Iterable[int]) -> int:
    """Return how many entries of these sizes make up a page: as many as have no more characters, at least one."""
    return max(1, sum(size <= MOST_CHARACTERS for size in accumulate(sizes)))


def newest_within(
    memory: Any, number: int, characters: int, *, offset: int = 0, before: str | None = None, **filters: Any
) -> tuple[list[Message], bool]:
    """Return the newest messages, oldest first: so many, or as many as have no more characters; at least one.

    They are fetched in pieces, since one message may be as large as a thousand others. A piece is no larger than the
    room that is left, were its messages as large as the largest until then, and at most four times the one before it.

    :param memory: an :class:`~flowrunner.OwnerMemory`, or what reads like one.
    :param number: of messages.
    :param before: only messages before that one.
    :returns: the messages, and whether others were left out for their size.
    :raises NotFound: if there is no message ``before``.
    """
    found: list[Message] = []
    weight, largest, size = 0, 1, min(number, _FIRST)
    page = memory.fetch(limit=size, offset=offset, before=before, **filters) if size > 0 else []
    while True:
        is_last = len(page) < size
        for place, message in enumerate(reversed(page)):
            weight += weight_of(message)
            largest = max(largest, weight_of(message))
            if weight > characters and (found or place):
                return page[len(page) - place :] + found, True
        found = page + found
        room = max(1, (characters - weight) // largest)
        size = min(number - len(found), room, size * 4)
        if is_last or size <= 0:
            return found, False
        page = _older(memory, found, size, filters)


def _older(memory: Any, found: list[Message], size: int, filters: dict[str, Any]) -> list[Message]:
    """Return the messages before others, some of which may have been deleted meanwhile."""
    for message in found:
        try:
            page: list[Message] = memory.fetch(limit=size, before=message.id, **filters)
        except NotFound:
            continue
        return page
    return []


def weight_of(message: Message) -> int:
    """Return the approximate size of a message in characters."""
    parts = (message.properties, message.content_blocks, message.files)
    return len(message.text) + sum(len(str(part)) for part in parts if part) + 200


def _next_size(page: list[Message], size: int, most: int) -> int:
    weight = sum(map(weight_of, page))
    return min(size * 2, most) if weight < _WEIGHT // 2 else size if weight < _WEIGHT else max(size // 2, 1)


def pages_forward(memory: OwnerMemory, size: int = PAGE, **filters: Any) -> Iterator[list[Message]]:
    """Yield pages in order of append, from the oldest message to the newest one at the end.

    Pages grow while messages are small, since a store may need as long for any page.

    :param size: messages of the first page.
    :param filters: ``session_id`` or nothing.
    :raises Conflict: if all messages of a page vanish while it is held.
    """
    size = min(size, _FIRST)
    count = sum(summary.count for summary in each_session(memory, **filters))
    page = memory.fetch(limit=size, offset=max(0, count - size), **filters) or memory.fetch(limit=size, **filters)
    while page:
        # Messages appended since the count have moved the window; go back to the beginning.
        earlier = memory.fetch(limit=size, before=page[0].id, **filters)
        if not earlier:
            break
        page = earlier
    while page:
        yield page
        size = _next_size(page, size, _MOST)
        page = _neighbours(memory, page, "after", size, filters)


class Following:
    """Reads messages in order of append, from the oldest, and then new ones as they arrive.

    :param memory: an :class:`~flowrunner.OwnerMemory`, or what reads like one.
    :param filters: members of :class:`~flowrunner.MessageQuery` but for windows and cursors.
    """

    def __init__(self, memory: Any, **filters: Any) -> None:
        #: Whether more messages may be available already.
        self.more = True
        self._memory = memory
        self._filters = filters
        self._size = _FIRST
        self._last: list[Message] = []

    def next(self) -> list[Message]:
        """Return the messages that follow those that were returned before, or none as long as there are none.

        :raises Conflict: if all messages of a page vanish before the next one is asked for.
        """
        size = self._size
        page = _neighbours(self._memory, self._last, "after", size, self._filters) if self._last else self._oldest()
        self.more = bool(page)
        if page:
            self._last, self._size = page, min(_next_size(page, size, PAGE), PAGE)
        return page

    def _oldest(self) -> list[Message]:
        page: list[Message] = self._memory.fetch(limit=self._size, **self._filters)
        earlier = page
        while len(earlier) == self._size:
            page = earlier
            earlier = _neighbours(self._memory, page, "before", self._size, self._filters)
        return earlier or page


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
    """Return the next page; if the message at the end of the current one was deleted, use the one beside it."""
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
    return Conflict("The messages were deleted while they were being read; try again.")
