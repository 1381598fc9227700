"""What is said of one operation of the API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

Schema = Any

#: Statuses of every operation that wants a caller.
CALLER: Final = (400, 401, 403, 404, 429, 500, 503)
#: Statuses of an operation that reads a body.
BODY: Final = (413, 415, 422)


@dataclass(frozen=True, slots=True)
class Query:
    """A query parameter: its name, its JSON schema, and what it is for."""

    name: str
    schema: Mapping[str, Any]
    help: str
    required: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return it as the description shows it."""
        return {
            "name": self.name,
            "in": "query",
            "required": self.required,
            "description": self.help,
            "schema": dict(self.schema),
        }


@dataclass(frozen=True, slots=True)
class Media:
    """A body or an answer of another type than JSON, or of several."""

    content: Mapping[str, Schema]


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation: a method of a route.

    ``answers`` has a schema class, a JSON schema, a :class:`Media`, or None for no body, by status.
    ``errors`` are further statuses that it may answer, in the shape of all errors.
    ``open`` says that no key is asked. ``paths`` are JSON schemas of path parameters other than text.
    """

    tag: str
    summary: str
    answers: Mapping[int, Schema]
    query: tuple[Query, ...] = ()
    body: Schema = None
    body_required: bool = True
    errors: tuple[int, ...] = ()
    open: bool = False
    paths: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    cursor: bool = False


TEXT: Final[Mapping[str, Any]] = {"type": "string"}
UUID: Final[Mapping[str, Any]] = {"type": "string", "format": "uuid"}
TRUTH: Final[Mapping[str, Any]] = {"type": "boolean"}
BYTES: Final[Mapping[str, Any]] = {"type": "string", "format": "binary"}


def whole(low: int = 0, high: int | None = None, default: int | None = None) -> dict[str, Any]:
    """Return the JSON schema of a whole number within bounds."""
    schema: dict[str, Any] = {"type": "integer", "minimum": low}
    if high is not None:
        schema["maximum"] = high
    if default is not None:
        schema["default"] = default
    return schema


def word(*words: str) -> dict[str, Any]:
    """Return the JSON schema of one of some words."""
    return {"type": "string", "enum": list(words)}


def list_of(schema: Schema, most: int | None = None) -> ListOf:
    """Return the schema of a list."""
    return ListOf(schema, most)


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list of things of a schema."""

    item: Schema
    most: int | None = None


#: The header by which an admin names the owner in whose name a request is made.
OWNER: Final = Query(
    "owner", TEXT, "The owner in whose name the request is made; admin keys only. Also as header X-Flowrunner-Owner."
)
FLOW: Final = Query("flow_id", UUID, "Only what came from this flow.")
LIMIT: Final = Query("limit", whole(0, None, 100), "How many at most; 0 means 100, and more than 200 means 200.")
OFFSET: Final = Query("offset", whole(0, None, 0), "How many of the newest are skipped.")
CURSOR: Final = Query("cursor", TEXT, "Where the previous page ended: its X-Next-Cursor.")
