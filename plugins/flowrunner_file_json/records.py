"""The lines of a session file, and messages as they appear in it.

The first line names the owner and the session. Every other line is a record::

    {"seq": 7, "message": {...}}                       a message, with its place in the order of append
    {"edit": ["id", ...], "changes": {...}}            messages were changed
    {"delete": ["id", ...]}                            messages were removed

A line that begins with ``"more": true`` belongs together with the next one: both count, or neither.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any, Final

from flowrunner import Message, MessageChanges, MessageInvalid

#: The owner and the session stand in the first line of the file.
_FIELDS: Final = tuple(f.name for f in dataclasses.fields(Message) if f.name not in ("owner", "session_id"))
_SEQUENCES: Final = ("files", "content_blocks")

#: What a field of a message or of a change may be. ``files`` holds texts, ``content_blocks`` objects.
_NULL: Final = type(None)
_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    **dict.fromkeys(("text", "category"), (str,)),
    **dict.fromkeys(("sender", "sender_name", "context_id", "flow_id", "run_id"), (str, _NULL)),
    **dict.fromkeys(("error", "edit"), (bool,)),
    **dict.fromkeys(_SEQUENCES, (list,)),
    "properties": (dict,),
    "duration": (int, float, _NULL),
    "session_metadata": (dict, _NULL),
}
_MEMBERS: Final[Mapping[str, type]] = {"files": str, "content_blocks": dict}
_CHANGED: Final = frozenset(f.name for f in dataclasses.fields(MessageChanges))
_MOST_SEQ: Final = 2**63

#: Lower than where recursion ends, also for a reader that is called from deep within a program.
_MOST_DEEP: Final = 200
_CONTAINERS: Final = (Mapping, list, tuple)

VERSION: Final = 1

#: Bytes of the longest line that is written: as much as a request may have. One that is read may be a little longer,
#: since edits of several fields, each of them short, may make a message longer than any of them.
LONGEST_WRITTEN: Final = 64 * 1024 * 1024
LONGEST_READ: Final = LONGEST_WRITTEN + 16 * 1024 * 1024
#: Bytes of an edit from which on the messages that it makes are looked at, too.
_LONG_EDIT: Final = 1024 * 1024
#: So many ids stand in one record of an edit or a deletion.
_MOST_IDS: Final = 10_000


class RecordInvalid(ValueError):
    """A record says what none can say; the text names the field and quotes nothing."""


def header_line(owner: str, session_id: str) -> bytes:
    """Return the first line of a session's file."""
    return encode_lines([{"version": VERSION, "owner": owner, "session": session_id}])


def message_records(rows: Iterable[tuple[int, Message]]) -> list[dict[str, Any]]:
    """Return the records of messages and their places."""
    return [{"seq": seq, "message": _plain(message)} for seq, message in rows]


def edit_records(ids: Sequence[str], changes: MessageChanges) -> list[dict[str, Any]]:
    """Return the records of an edit, which count together."""
    return [{"edit": part, "changes": changes.given()} for part in _parts(ids)]


def delete_records(ids: Sequence[str]) -> list[dict[str, Any]]:
    """Return the records of a deletion, which count together."""
    return [{"delete": part} for part in _parts(ids)]


def _parts(ids: Sequence[str]) -> list[list[str]]:
    return [list(ids[start : start + _MOST_IDS]) for start in range(0, len(ids), _MOST_IDS)] or [[]]


def check_edited(lines: bytes, rows: Iterable[tuple[int, Message]]) -> None:
    """Refuse an edit that would make a message longer than what can be read again.

    :param lines: the edit, as it is written.
    :param rows: the messages as it makes them.
    :raises MessageInvalid: if one is too long.
    """
    if len(lines) > _LONG_EDIT:
        for row in rows:
            encode_lines(message_records([row]))


def encode_lines(records: Sequence[Mapping[str, Any]], *, together: bool = False, most: int = 0) -> bytes:
    """Return records as lines.

    :param together: they count only if all of them are there.
    :param most: bytes of a line; 0: as many as are written.
    :raises MessageInvalid: if a value is not JSON, a text cannot be encoded, or a line is too long.
    """
    lines = []
    for place, record in enumerate(records, 1):
        marked = {"more": True, **record} if together and place < len(records) else record
        try:
            line = json.dumps(marked, ensure_ascii=False).encode() + b"\n"
        except UnicodeEncodeError as error:
            raise MessageInvalid("The text contains a lone surrogate, which cannot be encoded.") from error
        except (TypeError, ValueError, RecursionError) as error:
            raise MessageInvalid(f"The message cannot be stored: {error}.") from error
        if len(line) > (most or LONGEST_WRITTEN):
            raise MessageInvalid(
                f"The message has {len(line)} bytes as JSON; file-json stores at most {most or LONGEST_WRITTEN}."
            )
        lines.append(line)
    return b"".join(lines)


def check_depth(messages: Iterable[Message]) -> None:
    """Refuse messages that nest so deeply that they could be written, but handed out to nobody.

    :raises MessageInvalid: naming the message.
    """
    for message in messages:
        level: list[Any] = [message.properties, message.content_blocks, message.session_metadata]
        for _ in range(_MOST_DEEP):
            inside = (node.values() if isinstance(node, Mapping) else node for node in level if node)
            level = [member for members in inside for member in members if isinstance(member, _CONTAINERS)]
            if not level:
                break
        else:
            raise MessageInvalid(f"The message {message.id} nests more than {_MOST_DEEP} levels deep.")


def to_message(record: Mapping[str, Any], owner: str, session_id: str) -> Message:
    """Return the message of a record; members that are not known are left out.

    :raises RecordInvalid: if a member is of another kind than it can be.
    """
    known = {name: record[name] for name in _FIELDS if name in record}
    _check(known)
    if not isinstance(known["id"], str) or not known["id"]:
        raise RecordInvalid("its id is no text")
    known["timestamp"] = datetime.fromisoformat(known["timestamp"])
    if known["timestamp"].tzinfo is None:
        raise RecordInvalid("its timestamp names no time zone")
    return Message(**_with_tuples(known), owner=owner, session_id=session_id)


def to_seq(value: Any) -> int:
    """Return the position of a message in the order of append.

    :raises RecordInvalid: if it is not a valid position.
    """
    if type(value) is not int or not 0 < value < _MOST_SEQ:
        raise RecordInvalid("its seq is not a valid position")
    return value


def to_changes(record: Mapping[str, Any], session_id: str) -> dict[str, Any]:
    """Return the fields that an edit changes, and their values.

    :raises RecordInvalid: if they cannot be changed so, or the messages would not be of this session any more.
    """
    if not record.keys() <= _CHANGED or record.get("session_id", session_id) != session_id:
        raise RecordInvalid("it changes what no edit can change")
    _check(record)
    return _with_tuples(dict(record))


def _check(values: Mapping[str, Any]) -> None:
    for name, kinds in _TYPES.items():
        if name in values and type(values[name]) not in kinds:
            raise RecordInvalid(f"its {name} is no {kinds[0].__name__}")
    for name, kind in _MEMBERS.items():
        if any(type(member) is not kind for member in values.get(name, ())):
            raise RecordInvalid(f"its {name} holds what is no {kind.__name__}")


def _plain(message: Message) -> dict[str, Any]:
    found = {name: getattr(message, name) for name in _FIELDS}
    found["timestamp"] = message.timestamp.astimezone(timezone.utc).isoformat()
    return found


def _with_tuples(values: dict[str, Any]) -> dict[str, Any]:
    for name in _SEQUENCES:
        if name in values:
            values[name] = tuple(values[name])
    return values
