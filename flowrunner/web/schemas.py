"""Schemas shared by several routes. Schemas of one resource are in its module, beside the views."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import UnionType
from typing import Any, Final
from uuid import UUID

from marshmallow import EXCLUDE, INCLUDE, Schema, fields


@dataclass(frozen=True, slots=True)
class Media:
    """A body or an answer with other content than JSON, by media type. The view reads such a body itself."""

    content: Mapping[str, Any]


TEXT: Final[Mapping[str, Any]] = {"type": "string"}
BYTES: Final[Mapping[str, Any]] = {"type": "string", "format": "binary"}
#: A form with a file, read by the view.
UPLOAD: Final = Media({"multipart/form-data": {"type": "object", "properties": {"file": BYTES}, "required": ["file"]}})
EVENTS: Final[Mapping[str, Any]] = {"type": "string", "description": "The events, in order."}
#: The error statuses of runs.
OF_RUNS: Final = (409, 499, 504)
DOWNLOAD: Final = Media({"application/octet-stream": BYTES})


class Body(Schema):
    """The body of a request; unknown members are ignored."""

    class Meta:
        unknown = EXCLUDE


class Open(Schema):
    """The body of a request or an answer with further members."""

    class Meta:
        unknown = INCLUDE


#: The field for each Python type of members of answers.
_FIELDS: Final[Mapping[Any, Any]] = {
    str: fields.String,
    int: fields.Integer,
    float: fields.Float,
    bool: fields.Boolean,
    dict: fields.Dict,
    UUID: fields.UUID,
    datetime: fields.DateTime,
    Any: fields.Raw,
}


def member(kind: Any, about: str | None = None, *, required: bool = True, **facts: Any) -> fields.Field[Any]:
    """Return the field for a member of an answer.

    :param kind: a type, as in ``str | None``; a schema; ``[kind]`` for a list.
    :param about: its description.
    :param required: it is always present.
    :param facts: further keywords of its JSON schema.
    """
    facts = facts if about is None else {"description": about, **facts}
    options: dict[str, Any] = {"required": required, "metadata": facts}
    if isinstance(kind, UnionType):
        kind, options["allow_none"] = kind.__args__[0], True
    if isinstance(kind, list):
        return fields.List(member(kind[0]), **options)
    if kind in _FIELDS:
        made: fields.Field[Any] = _FIELDS[kind](**options)
        return made
    return fields.Nested(kind, **options)


def answer(name: str, base: type[Schema] = Schema, /, **members: Any) -> type[Schema]:
    """Return the schema of an answer.

    :param name: the name of the schema in the description.
    :param base: a schema whose members are included.
    :param members: each an argument of :func:`member`, or a field.
    """
    made = {name: kind if isinstance(kind, fields.Field) else member(kind) for name, kind in members.items()}
    return base.from_dict(made, name=name)


#: An error: a message or a list of problems, and a stable code.
Error: Final = answer("Error", detail=member(Any, "A sentence; for 422 mostly a list of wrong values."), code=str)

#: The members that all forms of a message share.
MessageBase: Final = answer(
    "MessageBase",
    timestamp=member(str, examples=["2026-01-31 12:00:00.000000 UTC"]),
    sender=str | None,
    sender_name=str | None,
    session_id=str,
    context_id=str | None,
    text=str,
    edit=bool,
    properties=dict,
    category=str,
    content_blocks=[dict],
    session_metadata=dict | None,
    flow_id=str | None,
)

#: A message in lists.
Message: Final = answer(
    "Message",
    MessageBase,
    id=UUID,
    files=member(str, "Names of uploaded files, as a JSON list in a string."),
    duration=float | None,
    owner=member(str, "The owner; only in lists of all owners.", required=False),
)

#: A message after an edit.
EditedMessage: Final = answer("EditedMessage", MessageBase, id=UUID, files=[str], error=bool, run_id=str | None)
#: The session of a run, and what decided it.
Session: Final = answer("Session", id=str, source=str | None, component=str | None)
#: A message about what was done.
Detail: Final = answer("Detail", detail=str)
Said: Final = answer("Said", message=str)
#: The number of deleted things.
Deleted: Final = answer("Deleted", deleted=int)
