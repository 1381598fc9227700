"""Messages: passed between components, stored in memory backends, and shown in answers."""

from __future__ import annotations

import dataclasses
import operator
import os
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Final

from flowrunner.text.timestamps import timestamp_text

SENDER_USER: Final = "User"
SENDER_MACHINE: Final = "Machine"

#: Kinds of entries in a content block, as clients of the reference server render them.
CONTENT_KINDS: Final = ("text", "code", "tool_use", "media", "json", "error")

NO_SOURCE: Final[Mapping[str, None]] = {"id": None, "display_name": None, "source": None}


def utc_now() -> datetime:
    """Return the current time, timezone-aware in UTC."""
    return datetime.now(timezone.utc)


def new_id() -> str:
    """Return a new UUID (version 7: the time in milliseconds, then 74 random bits) in its canonical spelling.

    Ids created together are adjacent in an index, so a run writes fewer pages, and inserting into a large table reads
    few.
    """
    octets = bytearray((time.time_ns() // 1_000_000).to_bytes(6, "big") + _entropy.take(10))
    octets[6] = octets[6] & 0x0F | 0x70
    octets[8] = octets[8] & 0x3F | 0x80
    text = octets.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


class _Entropy:
    """Random bytes of the system, fetched in blocks, since each fetch is a system call and a run needs several ids."""

    _lock: threading.Lock
    _bytes: bytes
    _place: int

    def __init__(self) -> None:
        self._forget()
        os.register_at_fork(after_in_child=self._forget)

    def take(self, count: int) -> bytes:
        with self._lock:
            if self._place + count > len(self._bytes):
                self._bytes, self._place = os.urandom(4096), 0
            start, self._place = self._place, self._place + count
            return self._bytes[start : self._place]

    def _forget(self) -> None:
        """Drop the rest of the block: parent and child must not create the same ids."""
        self._lock = threading.Lock()
        self._bytes, self._place = b"", 0


_entropy: Final = _Entropy()


def make_properties(**changes: Any) -> dict[str, Any]:
    """Return the properties of a message, with the members that clients expect.

    :param changes: members that differ from the default, such as ``state="partial"``.
    """
    properties: dict[str, Any] = {
        "text_color": None,
        "background_color": None,
        "edited": False,
        "source": dict(NO_SOURCE),
        "icon": None,
        "allow_markdown": False,
        "positive_feedback": None,
        "state": "complete",
        "targets": [],
        "usage": None,
        "build_duration": None,
    }
    properties.update(changes)
    return properties


def parse_timestamp(text: str) -> datetime:
    """Parse a timestamp in ISO 8601; a naive one is taken as UTC.

    :raises ValueError: if the text is not a timestamp.
    """
    plain = text.strip()
    plain = plain[:-4] + "+00:00" if plain.endswith(" UTC") else plain
    plain = plain[:-1] + "+00:00" if plain.endswith("Z") else plain
    moment = datetime.fromisoformat(plain)
    return moment.replace(tzinfo=timezone.utc) if moment.tzinfo is None else moment.astimezone(timezone.utc)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message of a conversation, or a text on its way between two components.

    ``session_id``, ``sender`` and ``sender_name`` are required to store it. ``session_id`` is any
    non-empty text, byte for byte. ``timestamp`` is aware and in UTC; it says when the message was
    made and never decides order (order is the order of append). ``owner`` is set by the handle
    through which a message is stored and is never taken from a client. ``properties``,
    ``content_blocks`` and ``session_metadata`` hold JSON values only.
    """

    text: str = ""
    sender: str | None = None
    sender_name: str | None = None
    session_id: str = ""
    context_id: str | None = ""
    id: str | None = None
    timestamp: datetime = field(default_factory=utc_now)
    flow_id: str | None = None
    run_id: str | None = None
    files: tuple[str, ...] = ()
    properties: Mapping[str, Any] = field(default_factory=make_properties)
    content_blocks: tuple[Mapping[str, Any], ...] = ()
    category: str = "message"
    error: bool = False
    edit: bool = False
    duration: float | None = None
    session_metadata: Mapping[str, Any] | None = None
    owner: str = ""

    def replace(self, **changes: Any) -> Message:
        """Return a copy with the named fields changed.

        :raises TypeError: for a name that is not a field.
        """
        if not changes.keys() <= _FIELD_SET:
            raise TypeError(f"a message has no field {', '.join(sorted(changes.keys() - _FIELD_SET))}")
        # As dataclasses.replace, at a small part of its cost: a run copies its messages several times.
        copied = _copy_fields(self)
        for name, value in changes.items():
            setattr(copied, name, value)
        copied.__class__ = Message
        made: Message = copied
        return made

    def missing_to_store(self) -> tuple[str, ...]:
        """Return the names of the missing required fields."""
        return tuple(name for name in ("session_id", "sender", "sender_name") if not getattr(self, name))

    def to_record(self) -> dict[str, Any]:
        """Return the message as a JSON object with all fields; :meth:`from_record` reverses this."""
        record = {name: getattr(self, name) for name in MESSAGE_FIELDS}
        record["timestamp"] = timestamp_text(self.timestamp)
        record["files"] = list(self.files)
        record["content_blocks"] = [dict(block) for block in self.content_blocks]
        record["properties"] = dict(self.properties)
        return record

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Message:
        """Create a message from the result of :meth:`to_record`; unknown members are ignored.

        Members that are missing have their defaults.

        :raises ValueError: if the timestamp cannot be read.
        """
        known: dict[str, Any] = {name: record[name] for name in MESSAGE_FIELDS if name in record}
        if isinstance(known.get("timestamp"), str):
            known["timestamp"] = parse_timestamp(known["timestamp"])
        known["files"] = tuple(known.get("files") or ())
        known["content_blocks"] = tuple(known.get("content_blocks") or ())
        if not isinstance(known.get("properties"), Mapping):
            known["properties"] = make_properties()
        return cls(**known)


MESSAGE_FIELDS: Final = tuple(f.name for f in dataclasses.fields(Message))


def each_message(messages: Message | Iterable[Message]) -> list[Message]:
    """Return one message or several as a list.

    :raises TypeError: for what is not a message.
    """
    if isinstance(messages, Message):
        return [messages]
    found: list[Any]
    if type(messages) is list:
        found = messages.copy()
    else:
        iterable = isinstance(messages, Iterable) and not isinstance(messages, (str, bytes, Mapping))
        found = list(messages) if iterable else [messages]
    for one in found:
        if not isinstance(one, Message):
            raise TypeError(f"a {type(one).__name__} was given but must be a Message")
    return found


def private_copy(message: Message) -> Message:
    """Return a copy that shares no mutable values with the message, for stores that keep objects."""
    return message.replace(
        files=tuple(message.files),
        properties=_copy(message.properties),
        content_blocks=tuple(_copy(block) for block in message.content_blocks),
        session_metadata=_copy(message.session_metadata),
    )


def _copy(value: Any) -> Any:
    """Copy a JSON value, ten times as fast as ``copy.deepcopy``."""
    if isinstance(value, dict):
        return {name: _copy(member) for name, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [_copy(member) for member in value]
    return value


_FIELD_SET: Final = frozenset(MESSAGE_FIELDS)
_field_values: Final = operator.attrgetter(*MESSAGE_FIELDS)


class _Draft:
    """A mutable message with the same fields, used to create frozen ones quickly.

    Setting a field of a frozen object goes through ``object.__setattr__`` by name, five times as
    slow; messages are made and copied several times in each run.
    """

    __slots__ = MESSAGE_FIELDS


def _copy_fields(message: Message) -> Any:
    made: Any = _Draft()
    (
        made.text,
        made.sender,
        made.sender_name,
        made.session_id,
        made.context_id,
        made.id,
        made.timestamp,
        made.flow_id,
        made.run_id,
        made.files,
        made.properties,
        made.content_blocks,
        made.category,
        made.error,
        made.edit,
        made.duration,
        made.session_metadata,
        made.owner,
    ) = _field_values(message)
    return made


def make_content_block(title: str, contents: Iterable[Mapping[str, Any]], **more: Any) -> dict[str, Any]:
    """Return a content block as clients render it.

    :param title: heading of the block.
    :param contents: entries, each with a ``type`` out of :data:`CONTENT_KINDS`.
    :raises ValueError: if an entry has another type.
    """
    entries = [dict(entry) for entry in contents]
    for entry in entries:
        if entry.get("type") not in CONTENT_KINDS:
            raise ValueError(
                f"a content entry has the type {entry.get('type')!r}; must be one of {', '.join(CONTENT_KINDS)}"
            )
    return {"title": title, "contents": entries, "allow_markdown": True, "media_url": None, **more}


def error_message(*, vertex_id: str, component: str, kind: str, reason: str, **fields: Any) -> Message:
    """Return the message that records the failure of a component in a conversation.

    It carries ``error=True``, so it never enters a chat history, and no traceback.

    :param vertex_id: id of the vertex that failed.
    :param component: its display name, which becomes sender and sender name.
    :param kind: the class name of what it raised.
    :param reason: the text of it, without credentials.
    :param fields: further fields of the message, such as ``session_id`` and ``flow_id``.
    """
    entry: dict[str, Any] = {
        "type": "error",
        "duration": None,
        "header": {},
        "component": component,
        "field": None,
        "reason": f"**{kind}**\n - **Details: {reason}**\n",
        "solution": None,
        "code": None,
        "traceback": None,
    }
    return Message(
        text=f"{reason}\n",
        sender=component,
        sender_name=component,
        context_id=None,
        properties=make_properties(
            text_color="red",
            background_color="red",
            icon="error",
            source={"id": vertex_id, "display_name": component, "source": component},
        ),
        content_blocks=(make_content_block("Error", [entry]),),
        category="error",
        error=True,
        **fields,
    )
