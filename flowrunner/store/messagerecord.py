"""Serialize messages for the run log, and read them back."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Any, Final

from flowrunner.memory.message import Message, make_properties
from flowrunner.text.timestamps import moment_text

_PROPERTIES: Final = make_properties()

#: The fields of a message in the order of a record; add new fields at the end of the second list.
_ALWAYS: Final = ("text", "sender", "sender_name", "session_id", "context_id", "id")
_SELDOM: Final = (
    "flow_id",
    "run_id",
    "files",
    "content_blocks",
    "category",
    "error",
    "edit",
    "duration",
    "session_metadata",
)
always_of = attrgetter(*_ALWAYS)
seldom_of = attrgetter(*_SELDOM)


def message_record(message: Message, usual: tuple[Any, ...]) -> list[Any]:
    """Return the record of a message: timestamp, unusual properties, fields, unusual fields.

    A fifth member means that properties not listed have their defaults.
    """
    seldom, properties = seldom_of(message), message.properties
    record: list[Any] = [moment_text(message.timestamp), {}, always_of(message), None if seldom == usual else seldom]
    if properties != _PROPERTIES:
        if properties.keys() == _PROPERTIES.keys():
            properties = {name: value for name, value in properties.items() if value != _PROPERTIES[name]}
            record.append(True)
        record[1] = properties
    return record


def read_message(record: Sequence[Any], flow_id: str, run_id: str) -> Message:
    """Return the message in a record.

    :param flow_id: the flow of the run that the record belongs to.
    :param run_id: the id of that run.
    """
    timestamp, properties, always, seldom, *partly = record
    fields: dict[str, Any] = dict(zip(_ALWAYS, always, strict=True))
    if properties:
        fields["properties"] = {**make_properties(), **properties} if partly else properties
    fields.update(zip(_SELDOM, seldom or usual_fields(flow_id, run_id), strict=False))
    return Message.from_record({"timestamp": timestamp, **fields})


def usual_fields(flow_id: str, run_id: str) -> tuple[Any, ...]:
    """Return the rarely used fields with the values that nearly all messages have."""
    return (flow_id, run_id, (), (), "message", False, False, None, {"graph_run_id": run_id})
