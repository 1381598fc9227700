"""Schemas that several routes share. Those of one resource stand in its module, beside the views."""

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
    """A body or an answer that is not just JSON: what it is, by media type. Such a body is read by the view itself."""

    content: Mapping[str, Any]


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


#: The field of each type of Python that members of answers have.
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
    """Return the field of an answer's member.

    :param kind: a type, as in ``str | None``; a schema; ``[kind]`` for a list.
    :param about: what it is, for the description.
    :param required: it is always there.
    :param facts: more keywords of its JSON schema.
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
    :param base: a schema whose members it has, too.
    :param members: each as :func:`member` takes it, or a field.
    """
    made = {name: kind if isinstance(kind, fields.Field) else member(kind) for name, kind in members.items()}
    return base.from_dict(made, name=name)


#: What went wrong: in words or as a list of places, and as a code that stays the same.
Error: Final = answer("Error", detail=member(Any, "A sentence; for 422 mostly a list of wrong values."), code=str)

#: What all forms of a message have in common.
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

#: A message as lists show it.
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
#: The session of a run, and who decided it.
Session: Final = answer("Session", id=str, source=str | None, component=str | None)
#: A sentence on what was done.
Detail: Final = answer("Detail", detail=str)
Said: Final = answer("Said", message=str)
#: How many things are gone.
Deleted: Final = answer("Deleted", deleted=int)
