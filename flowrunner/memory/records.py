"""Messages as lines of JSON, with all their fields."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from flowrunner.errors import BadRequest
from flowrunner.memory.message import Message
from flowrunner.text.json_text import MOST_DEEP, is_too_deep, is_unicode

_NEEDED: Final = ("id", "owner", "session_id", "sender", "sender_name")
#: Ids of messages, owners and flows are no longer in any store.
_MOST_OF_AN_ID: Final = 255
_IDS: Final = ("id", "owner", "flow_id")
#: Characters at which some programs end a line, though they may stand in JSON.
_LINE_ENDS: Final = {number: f"\\u{number:04x}" for number in (0x85, 0x2028, 0x2029)}


def to_line(message: Message) -> str:
    """Return a message as a line of JSON, without its end."""
    record = message.to_record()
    line = json.dumps(record, ensure_ascii=False, separators=(",", ":")).translate(_LINE_ENDS)
    # Half of a surrogate pair cannot be written as UTF-8; as an escape it can.
    return line if is_unicode(line) else json.dumps(record, separators=(",", ":"))


def from_line(line: str | bytes, owner: str | None = None) -> Message:
    """Read a message that :func:`to_line` wrote, or a row of the monitor API; unknown members are passed over.

    :param owner: whose it becomes; a row of the API does not say whose it is.
    :raises BadRequest: if it is no such line.
    """
    try:
        record = json.loads(line)
    except RecursionError:
        raise BadRequest(_TOO_DEEP) from None
    except ValueError as error:
        raise BadRequest(f"it is not valid JSON ({error})") from error
    if not isinstance(record, Mapping):
        raise BadRequest("it is not a JSON object")
    record = _completed(record, owner)
    for name in _NEEDED:
        if not isinstance(record.get(name), str) or not record[name]:
            raise BadRequest(f"it lacks {name}")
    _check_kinds(record)
    try:
        return Message.from_record(record)
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise BadRequest(f"it is not a message ({error})") from error


def _completed(record: Mapping[str, Any], owner: str | None) -> Mapping[str, Any]:
    """Return a record with its owner, and what a row of the monitor API says in other words."""
    found = dict(record)
    if owner is not None:
        found["owner"] = owner
    if isinstance(found.get("files"), str):
        try:
            found["files"] = json.loads(found["files"] or "[]")
        except ValueError:
            raise BadRequest("its files is not a list of strings") from None
    if "error" not in found and found.get("category") == "error":
        found["error"] = True
    metadata = found.get("session_metadata")
    if "run_id" not in found and isinstance(metadata, Mapping) and isinstance(metadata.get("graph_run_id"), str):
        found["run_id"] = metadata["graph_run_id"]
    return found


def _check_kinds(record: Mapping[str, Any]) -> None:
    """Refuse what a store might take, and could then show to nobody."""
    if is_too_deep(record):
        raise BadRequest(_TOO_DEEP)
    for name, value in record.items():
        is_right, kind = _KINDS.get(name, _ANYTHING)
        if not (is_right(value) or (value is None and name in _MAY_BE_NULL)):
            raise BadRequest(f"its {name} is not {kind}")
    for name in _IDS:
        if len(record.get(name) or "") > _MOST_OF_AN_ID:
            raise BadRequest(f"its {name} has more than {_MOST_OF_AN_ID} characters")


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_truth(value: Any) -> bool:
    return isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < _LARGEST


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _is_list_of_texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _is_list_of_objects(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_object, value))


_TOO_DEEP: Final = f"it is nested more than {MOST_DEEP} levels deep"
_LARGEST: Final = 1e15
_ANYTHING: Final[tuple[Callable[[Any], bool], str]] = (lambda value: True, "")
_TEXT: Final = (_is_text, "a string")
_TRUTH: Final = (_is_truth, "a boolean")
_KINDS: Final[Mapping[str, tuple[Callable[[Any], bool], str]]] = {
    **dict.fromkeys((*_NEEDED, "text", "context_id", "timestamp", "flow_id", "run_id", "category"), _TEXT),
    **dict.fromkeys(("error", "edit"), _TRUTH),
    "duration": (_is_number, "a number of seconds"),
    "files": (_is_list_of_texts, "a list of strings"),
    "content_blocks": (_is_list_of_objects, "a list of objects"),
    "properties": (_is_object, "an object"),
    "session_metadata": (_is_object, "an object"),
}
_MAY_BE_NULL: Final = (
    "context_id",
    "flow_id",
    "run_id",
    "duration",
    "files",
    "content_blocks",
    "properties",
    "session_metadata",
)
