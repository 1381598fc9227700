"""How a message stands in a record of the run log, and how it is read back."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Any, Final

from flowrunner.memory.message import Message, make_properties
from flowrunner.text.timestamps import moment_text

_PROPERTIES: Final = make_properties()

#: The fields of a message in the order in which a record holds them; new ones go to the end of the second list.
_ALWAYS: Final = ("text", "sender", "sender_name", "session_id", "context_id", "id")
_SELDOM: Final = (
    "flow_id", "run_id", "files", "content_blocks", "category", "error", "edit", "duration", "session_metadata",
)  # fmt: skip
always_of = attrgetter(*_ALWAYS)
seldom_of = attrgetter(*_SELDOM)


def message_record(message: Message, usual: tuple[Any, ...]) -> list[Any]:
    """Return a message as a record holds it: timestamp, unusual properties, fields, unusual fields."""
    seldom = seldom_of(message)
    properties = {} if message.properties == _PROPERTIES else message.properties
    return [moment_text(message.timestamp), properties, always_of(message), None if seldom == usual else seldom]


def read_message(record: Sequence[Any], flow_id: str, run_id: str) -> Message:
    """Return the message of a record.

    :param flow_id: the flow of the run whose record it is.
    :param run_id: the run.
    """
    timestamp, properties, always, seldom = record
    fields: dict[str, Any] = dict(zip(_ALWAYS, always, strict=True))
    if properties:
        fields["properties"] = properties
    fields.update(zip(_SELDOM, seldom or usual_fields(flow_id, run_id), strict=False))
    return Message.from_record({"timestamp": timestamp, **fields})


def usual_fields(flow_id: str, run_id: str) -> tuple[Any, ...]:
    """Return the seldom fields as they are in nearly all messages that a run stores."""
    return (flow_id, run_id, (), (), "message", False, False, None, {"graph_run_id": run_id})
