"""Schemas that several routes share. Those of one resource stand in its module, beside the views."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from marshmallow import EXCLUDE, INCLUDE, Schema, fields


@dataclass(frozen=True, slots=True)
class Media:
    """A body or an answer that is not just JSON: what it is, by media type. Such a body is read by the view itself."""

    content: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list of things of a schema."""

    item: Any


TEXT: Final[Mapping[str, Any]] = {"type": "string"}
BYTES: Final[Mapping[str, Any]] = {"type": "string", "format": "binary"}
#: A form with a file, which the view reads.
UPLOAD: Final = Media({"multipart/form-data": {"type": "object", "properties": {"file": BYTES}, "required": ["file"]}})
EVENTS: Final[Mapping[str, Any]] = {"type": "string", "description": "The events, in order."}
#: Statuses of errors with which a run may end.
OF_RUNS: Final = (409, 499, 504)
DOWNLOAD: Final = Media({"application/octet-stream": BYTES})


class Body(Schema):
    """What a request holds; members that are not named are passed over."""

    class Meta:
        unknown = EXCLUDE


class Open(Schema):
    """What a request or an answer holds, and may hold more of."""

    class Meta:
        unknown = INCLUDE


def answer(name: str, /, **members: fields.Field[Any]) -> type[Schema]:
    """Return the schema of an answer of few members, all of which are always there.

    :param name: the name of the schema in the description.
    """
    for member in members.values():
        member.required = True
    return Schema.from_dict(members, name=name)


class Error(Schema):
    """What went wrong: in words or as a list of places, and as a code that stays the same."""

    detail = fields.Raw(required=True, metadata={"description": "A sentence; for 422 mostly a list of wrong values."})
    code = fields.String(required=True)


class MessageBase(Schema):
    """What all forms of a message have in common."""

    timestamp = fields.String(required=True, metadata={"examples": ["2026-01-31 12:00:00.000000 UTC"]})
    sender = fields.String(required=True, allow_none=True)
    sender_name = fields.String(required=True, allow_none=True)
    session_id = fields.String(required=True)
    context_id = fields.String(required=True, allow_none=True)
    text = fields.String(required=True)
    edit = fields.Boolean(required=True)
    properties = fields.Dict(required=True)
    category = fields.String(required=True)
    content_blocks = fields.List(fields.Dict(), required=True)
    session_metadata = fields.Dict(required=True, allow_none=True)
    flow_id = fields.String(required=True, allow_none=True)


class Message(MessageBase):
    """A message as lists show it."""

    id = fields.UUID(required=True)
    files = fields.String(
        required=True, metadata={"description": "Names of uploaded files, as a JSON list in a string."}
    )
    duration = fields.Float(required=True, allow_none=True)
    owner = fields.String(metadata={"description": "The owner; only in lists of all owners."})


class EditedMessage(MessageBase):
    """A message after an edit."""

    id = fields.UUID(required=True)
    files = fields.List(fields.String(), required=True)
    error = fields.Boolean(required=True)
    run_id = fields.String(required=True, allow_none=True)


#: The session of a run, and who decided it.
Session: Final = answer(
    "Session",
    id=fields.String(),
    source=fields.String(allow_none=True),
    component=fields.String(allow_none=True),
)
#: A sentence on what was done.
Detail: Final = answer("Detail", detail=fields.String())
Said: Final = answer("Said", message=fields.String())
#: How many things are gone.
Deleted: Final = answer("Deleted", deleted=fields.Integer())
