"""Export, import and copy conversations between backends."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from flowrunner.errors import BadRequest, Conflict, FlowRunnerError, MessageInvalid
from flowrunner.memory import EVERY_OWNER, Memory, OwnerMemory
from flowrunner.memory.message import Message
from flowrunner.memory.paging import pages_forward
from flowrunner.memory.records import from_line, to_line

_BATCH: Final = 500
#: Messages whose ids are looked up together; a store of files reads each file once for all of them.
_LOOK_AHEAD: Final = 8000

#: Told how many messages more are dealt with.
Told = Callable[[int], object]


def _untold(count: int) -> None:
    """Tell nobody."""


#: The namespace in which ids of copies for another owner are made.
_COPIES: Final = uuid.UUID("3f0dd5f9-5a3e-5d1f-8a53-6a5b1b1d0c11")


@dataclass(slots=True)
class Transfer:
    """How many messages were stored, and how many skipped because they already existed."""

    stored: int = 0
    skipped: int = 0


def export_lines(memory: OwnerMemory, *, session_id: str | None = None) -> Iterator[str]:
    """Yield every message as a line of JSON, in order of append; no more than a page is held at a time.

    :param memory: whose messages; a handle on every owner gives all.
    :param session_id: only this session.
    """
    for message in _everything(memory, session_id):
        yield to_line(message)


def import_lines(
    memory: Memory,
    lines: Iterable[str | bytes],
    *,
    owner: str | None = None,
    skip_existing: bool = False,
    told: Told = _untold,
) -> Transfer:
    """Store the messages of an export, in its order; blank lines are passed over.

    The export is lines of JSON, or what the monitor API answers: a list of rows, or an object with
    such a list as its ``messages``.

    :param owner: store all under this owner instead of the one that each names. A message that
        another owner has gets an id of its own, the same each time.
    :param skip_existing: skip messages whose ids already exist, so that an interrupted import
        can be repeated.
    :param told: called with each number of messages that were stored or passed over.
    :raises BadRequest: for a line that is not a message, with its number; those before it are stored.
    :raises Conflict: for an id that already exists, with the line number.
    """
    numbered = read_lines(lines, owner)
    return _store(memory, numbered if owner is None else own_ids(memory, numbered), skip_existing, told)


def copy_messages(source: Memory, target: Memory, *, skip_existing: bool = False, told: Told = _untold) -> Transfer:
    """Store every message of one store in another, in order.

    :param skip_existing: skip messages that already exist, so that an interrupted copy can be repeated.
    :param told: called with each number of messages that were stored or passed over.
    :raises Conflict: for an id that already exists there.
    """
    found = enumerate(_everything(source.for_owner(EVERY_OWNER), None), 1)
    return _store(target, found, skip_existing, told)


def _everything(memory: OwnerMemory, session_id: str | None) -> Iterator[Message]:
    filters: dict[str, Any] = {} if session_id is None else {"session_id": session_id}
    for page in pages_forward(memory, **filters):
        yield from page


def read_lines(lines: Iterable[str | bytes], owner: str | None = None) -> Iterator[tuple[int, Message]]:
    """Yield the messages of an export with the numbers of their lines.

    :param owner: whose they become, if not whose they say they are.
    :raises BadRequest: for a line that is not a message, with its number.
    """
    for number, line in enumerate(_rows(lines), 1):
        if not line.strip():
            continue
        try:
            message = from_line(line, owner)
        except BadRequest as error:
            raise BadRequest(f"Line {number} is not an exported message: {error.message}.{_hint(error)}") from error
        yield number, message


def _hint(error: BadRequest) -> str:
    return " Set the owner with --owner." if error.message == "it lacks owner" else ""


def _rows(lines: Iterable[str | bytes]) -> Iterator[str | bytes]:
    """Yield the lines of an export; of one JSON text over many lines, each message of its list as a line."""
    given = iter(lines)
    first = next((line for line in given if line.strip()), None)
    if first is None:
        return
    opening = first.lstrip()[:1]
    if opening in ("[", b"[") or (opening in ("{", b"{") and not _is_message(first)):
        joined = b"".join(line.encode() if isinstance(line, str) else line for line in (first, *given))
        try:
            found = json.loads(joined)
        except (ValueError, RecursionError):
            # Lines after all; the one that is wrong is named by its number.
            yield from joined.splitlines(keepends=True)
            return
        messages = found.get("messages") if isinstance(found, dict) else found
        for row in messages if isinstance(messages, list) else [found]:
            yield json.dumps(row)
        return
    yield first
    yield from given


def _is_message(line: str | bytes) -> bool:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return not isinstance(found, dict) or "messages" not in found


def own_ids(memory: Memory, numbered: Iterable[tuple[int, Message]]) -> Iterator[tuple[int, Message]]:
    """Yield messages with an id made of owner and old one where another owner has the old one."""
    for page in _pages(numbered, _LOOK_AHEAD):
        ids = tuple(str(message.id) for _, message in page)
        owners = {m.id: m.owner for m in memory.for_owner(EVERY_OWNER).fetch(ids=ids)}
        for number, message in page:
            if owners.get(message.id, message.owner) != message.owner:
                message = message.replace(id=str(uuid.uuid5(_COPIES, f"{message.owner}/{message.id}")))
            yield number, message


def _store(memory: Memory, numbered: Iterable[tuple[int, Message]], skip_existing: bool, told: Told) -> Transfer:
    """Store messages page by page, those of one session that follow each other together."""
    done = Transfer()
    for page in _pages(numbered, _LOOK_AHEAD if skip_existing else _BATCH):
        _store_page(memory, page, skip_existing, done, told)
    return done


def _pages(numbered: Iterable[tuple[int, Message]], size: int) -> Iterator[list[tuple[int, Message]]]:
    """Yield what is given in pages; where a line cannot be read, first those before it."""
    page = list[tuple[int, Message]]()
    try:
        for one in numbered:
            page.append(one)
            if len(page) == size:
                yield page
                page = []
    except FlowRunnerError:
        yield page
        raise
    yield page


def _store_page(
    memory: Memory, page: list[tuple[int, Message]], skip_existing: bool, done: Transfer, told: Told
) -> None:
    if skip_existing and page:
        ids = tuple(str(message.id) for _, message in page)
        taken = {message.id for message in memory.for_owner(EVERY_OWNER).fetch(ids=ids)}
        fresh = []
        for number, message in page:
            if message.id not in taken:
                taken.add(message.id)
                fresh.append((number, message))
        done.skipped += len(page) - len(fresh)
        told(len(page) - len(fresh))
        page = fresh
    start = 0
    for end in range(1, len(page) + 1):
        if end == len(page) or end - start == _BATCH or _place(page[end][1]) != _place(page[start][1]):
            _append(memory, page[start:end])
            done.stored += end - start
            told(end - start)
            start = end


def _append(memory: Memory, page: list[tuple[int, Message]]) -> None:
    (first, message), last = page[0], page[-1][0]
    try:
        memory.for_owner(message.owner).append(message for _, message in page)
    except MessageInvalid as error:
        where = f"Message {first}" if first == last else f"Messages {first} to {last}"
        raise Conflict(
            f"{where} of the export cannot be stored: {error.message} Everything before them was stored; run the"
            f" command"
            " again with --skip-existing."
        ) from error


def _place(message: Message) -> tuple[str, str]:
    return message.owner, message.session_id
