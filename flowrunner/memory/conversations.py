"""Read and write conversations from flows and from a site's own code.

Every function works on the messages of one owner: those of the run or request around the call, of
a ``with use_memory(...)`` block, or of what is passed as ``memory``. Names, filters, order and
defaults are those that code written for Langflow expects. Each function has an asynchronous version
whose name begins with ``a``, which runs it in a thread.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Iterable
from typing import Any

from flowrunner.errors import MessageInvalid, NotFound
from flowrunner.memory import ORDER_FIELDS, OwnerMemory
from flowrunner.memory.context import current_memory, find_memory, use_memory
from flowrunner.memory.message import Message, each_message
from flowrunner.memory.paging import pages_back
from flowrunner.memory.query import changes_to

__all__ = [
    "aadd_messages",
    "adelete_message",
    "adelete_messages",
    "aget_messages",
    "astore_message",
    "aupdate_messages",
    "add_messages",
    "current_memory",
    "delete_message",
    "delete_messages",
    "get_messages",
    "store_message",
    "update_messages",
    "use_memory",
]


def get_messages(
    sender: str | None = None,
    sender_name: str | None = None,
    session_id: str | None = None,
    context_id: str | None = None,
    order_by: str | None = "timestamp",
    order: str | None = "DESC",
    flow_id: str | None = None,
    limit: int | None = None,
    *,
    memory: OwnerMemory | None = None,
) -> list[Message]:
    """Return messages, newest first by default, without error messages. Filters are

    exact; blank ones are ignored. ``timestamp`` means the order of the conversation, independent
    of clocks; with another ``order_by``, equal values are ordered by age.

    :param order_by: one of ``timestamp, sender, sender_name, session_id, text``; None is ``timestamp``
        with the oldest first.
    :param order: ``DESC`` or ``ASC``.
    :param limit: maximum number in that order; None returns all, and 0 none.
    :param memory: the memory to use; default: that of the current run or request.
    :raises ValueError: for another ``order_by`` or ``order``, or a negative limit.
    """
    if order_by is not None and order_by not in ORDER_FIELDS:
        raise ValueError(f"order_by is {order_by!r}; must be one of {', '.join(ORDER_FIELDS)}")
    descending = order_by is not None and (order or "ASC").upper() == "DESC"
    if (order or "ASC").upper() not in ("ASC", "DESC"):
        raise ValueError(f"order is {order!r}; must be ASC or DESC")
    if limit is not None and limit < 0:
        raise ValueError(f"limit is {limit}; it must be 0 or more")
    filters = {
        "sender": sender or None,
        "sender_name": sender_name or None,
        "session_id": session_id or None,
        "context_id": context_id or None,
        "flow_id": flow_id or None,
        "error": False,
    }
    source = memory or find_memory()
    if order_by in (None, "timestamp"):
        if descending or limit is None:
            found = source.fetch(limit=limit, **filters)
            return found[::-1] if descending else found
        return _oldest(source, limit, filters)
    return _sorted(source, str(order_by), descending, limit, filters)


def add_messages(
    messages: Message | Iterable[Message], flow_id: str | None = None, *, memory: OwnerMemory | None = None
) -> list[Message]:
    """Store new messages and return them as stored, with their ids.

    Messages of one session that follow each other are stored together or not at all.

    :param flow_id: the flow that they belong to, if not what each says itself.
    :raises MessageInvalid: if one lacks session id, sender or sender name, or its id already exists.
    :raises MemoryFailed: if the store fails.
    """
    rows = [_prepared(message, flow_id) for message in each_message(messages)]
    for row in rows:
        _refuse_incomplete(row)
    return (memory or find_memory()).append(rows)


def store_message(
    message: Message | Iterable[Message], flow_id: str | None = None, *, memory: OwnerMemory | None = None
) -> list[Message]:
    """Store a message (or several), or update the one with its id; return them as stored, in a list.

    :param flow_id: the flow it belongs to, if not what it says itself; that of a message that is
        there already stays as it is.
    :raises MessageInvalid: if it lacks session id, sender or sender name, or its id is another owner's.
    :raises MemoryFailed: if the store fails.
    """
    source = memory or find_memory()
    rows = [_prepared(one, flow_id) for one in each_message(message)]
    for row in rows:
        _refuse_incomplete(row)
    return [stored for row in rows for stored in _store(source, row)]


def _store(source: OwnerMemory, row: Message) -> list[Message]:
    if row.id is None:
        return source.append([row])
    changed = _change(source, row)
    if changed:
        return changed
    try:
        return source.append([row])
    except MessageInvalid:
        # Somebody stored that id since we looked.
        changed = _change(source, row)
        if not changed:
            raise
        return changed


def update_messages(messages: Message | Iterable[Message], *, memory: OwnerMemory | None = None) -> list[Message]:
    """Update stored messages and return them. Everything but id, flow, run and timestamp

    can change; fields that are None are left unchanged.

    :raises NotFound: if one does not exist (then none is changed).
    :raises MessageInvalid: if one lacks session id, sender or sender name.
    """
    source = memory or find_memory()
    rows = [_prepared(message, None) for message in each_message(messages)]
    for row in rows:
        _refuse_incomplete(row)
        if row.id is None or not source.fetch(ids=(row.id,)):
            raise NotFound(f"Message with id {row.id} not found")
    updated: list[Message] = []
    for row in rows:
        changed = _change(source, row)
        if not changed:
            raise NotFound(f"Message with id {row.id} not found")
        updated += changed
    return updated


def delete_messages(
    session_id: str | None = None, context_id: str | None = None, *, memory: OwnerMemory | None = None
) -> int:
    """Delete the messages of a session or of a context, or of a context within a session; return their number.

    :raises ValueError: if neither is given, so that an empty variable does not delete everything.
    """
    if not session_id and not context_id:
        raise ValueError("Either session_id or context_id must be provided to delete messages.")
    return (memory or find_memory()).delete(session_id=session_id or None, context_id=context_id or None)


def delete_message(id_: str, *, memory: OwnerMemory | None = None) -> bool:
    """Delete one message; return whether it existed."""
    return (memory or find_memory()).delete(ids=(str(id_),)) > 0


async def aget_messages(*args: Any, **kwargs: Any) -> list[Message]:
    """Return messages; see :func:`get_messages`."""
    return await asyncio.to_thread(get_messages, *args, **kwargs)


async def aadd_messages(
    messages: Message | Iterable[Message], flow_id: str | None = None, *, memory: OwnerMemory | None = None
) -> list[Message]:
    """Store new messages; see :func:`add_messages`."""
    return await asyncio.to_thread(add_messages, messages, flow_id, memory=memory)


async def astore_message(
    message: Message | Iterable[Message], flow_id: str | None = None, *, memory: OwnerMemory | None = None
) -> list[Message]:
    """Store a message or change it; see :func:`store_message`."""
    return await asyncio.to_thread(store_message, message, flow_id, memory=memory)


async def aupdate_messages(
    messages: Message | Iterable[Message], *, memory: OwnerMemory | None = None
) -> list[Message]:
    """Change messages; see :func:`update_messages`."""
    return await asyncio.to_thread(update_messages, messages, memory=memory)


async def adelete_messages(
    session_id: str | None = None, context_id: str | None = None, *, memory: OwnerMemory | None = None
) -> int:
    """Delete the messages of a session or context; see :func:`delete_messages`."""
    return await asyncio.to_thread(delete_messages, session_id, context_id, memory=memory)


async def adelete_message(id_: str, *, memory: OwnerMemory | None = None) -> bool:
    """Delete one message; see :func:`delete_message`."""
    return await asyncio.to_thread(delete_message, id_, memory=memory)


def _prepared(message: Message, flow_id: str | None) -> Message:
    """Return a message as it is kept: of its flow, and with its files by the name that holds on every machine."""
    files = tuple(_file_name(message.session_id, str(file)) for file in message.files)
    return message.replace(flow_id=flow_id or message.flow_id, files=files)


def _file_name(session_id: str, path: str) -> str:
    """Return ``{session_id}/{relative path}`` for a file below a folder of the session's name, else what was given."""
    _, folder, inside = f"/{path}".partition(f"/{session_id}/")
    return f"{session_id}/{inside}" if session_id and folder and inside else path


def _refuse_incomplete(message: Message) -> None:
    missing = message.missing_to_store()
    if missing:
        raise MessageInvalid(f"A message cannot be stored without {' and '.join(missing)}.")


def _change(source: OwnerMemory, message: Message) -> list[Message]:
    """Change the stored message of the same id to what this one says; an empty list if there is none."""
    return source.update(changes_to(message), ids=(str(message.id),))


def _oldest(source: OwnerMemory, limit: int, filters: dict[str, Any]) -> list[Message]:
    """Return the oldest messages, holding no more of them than asked for and one page."""
    found: list[Message] = []
    for page in pages_back(source, **filters):
        found = [*page, *found][:limit]
    return found


def _sorted(
    source: OwnerMemory, key: str, descending: bool, limit: int | None, filters: dict[str, Any]
) -> list[Message]:
    def value(message: Message) -> Any:
        return getattr(message, key) or ""

    if limit is None:
        return sorted(source.fetch(**filters), key=value, reverse=descending)
    best: list[Message] = []
    choose = heapq.nlargest if descending else heapq.nsmallest
    for page in pages_back(source, **filters):
        best = choose(limit, [*page, *best], key=value)
    return best
