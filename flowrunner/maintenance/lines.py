"""A message as one line of JSON, with all fields."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from flowrunner.errors import BadRequest
from flowrunner.messages import Message

_NEEDED: Final = ("id", "owner", "session_id", "sender", "sender_name")
#: Characters at which some programs end a line, though they may stand in JSON.
_LINE_ENDS: Final = {number: f"\\u{number:04x}" for number in (0x85, 0x2028, 0x2029)}


def to_line(message: Message) -> str:
    """Return a message as a line of JSON, without its end."""
    record = message.to_record()
    line = json.dumps(record, ensure_ascii=False, separators=(",", ":")).translate(_LINE_ENDS)
    # Half of a surrogate pair cannot be written as UTF-8; as an escape it can.
    return line if _is_writable(line) else json.dumps(record, separators=(",", ":"))


def from_line(line: str | bytes) -> Message:
    """Read a message that :func:`to_line` wrote; members of later releases are passed over.

    :raises BadRequest: if it is no such line.
    """
    try:
        record = json.loads(line)
    except ValueError as error:
        raise BadRequest(f"it is no JSON ({error})") from error
    if not isinstance(record, Mapping):
        raise BadRequest("it is no JSON object")
    for name in _NEEDED:
        if not isinstance(record.get(name), str) or not record[name]:
            raise BadRequest(f"it lacks {name}")
    try:
        message = Message.from_record(record)
    except (ValueError, TypeError, AttributeError) as error:
        raise BadRequest(f"it is no message ({error})") from error
    # What was stored comes back as it was, also where members that messages usually have are missing.
    properties: Any = record.get("properties")
    return message.replace(properties=dict(properties)) if isinstance(properties, Mapping) else message


def _is_writable(line: str) -> bool:
    try:
        line.encode()
    except UnicodeEncodeError:
        return False
    return True
