"""Scripts for the fake model server: its answers, step by step."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

#: The default answer of the server.
USUAL_WORDS: Final = ("Ahoy", " matey", ", the", " sky", " is", " blue", ".")


@dataclass(frozen=True)
class Say:
    """Answer with a text, in parts if a stream is requested.

    ``gate`` delays everything after the first part until it is set. ``pause`` is the delay before each part in
    seconds. ``usage=False`` omits the token counts.
    """

    parts: tuple[str, ...]
    gate: threading.Event | None = None
    pause: float = 0.0
    usage: bool = True
    reason: str = "stop"


@dataclass(frozen=True)
class Call:
    """Call tools: ``("name", arguments)`` pairs; arguments may be a text that is not JSON."""

    calls: tuple[tuple[str, Any], ...]
    text: str = ""


@dataclass(frozen=True)
class Fail:
    """Answer with an error status and a message."""

    status: int
    message: str = "the stand-in refuses"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Hang:
    """Send the parts, then nothing, until the client disconnects or the server closes."""

    parts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cut:
    """Send the parts and close the connection before the end."""

    parts: tuple[str, ...]


@dataclass(frozen=True)
class Malformed:
    """Answer with something that is not JSON."""

    text: str = "{not json"


@dataclass(frozen=True)
class Raw:
    """Answer with these bytes, also if a stream is requested."""

    body: str | bytes
    status: int = 200
    kind: str = "application/json"


@dataclass(frozen=True)
class Write:
    """Answer with a message in the form of a particular server: whole, or as deltas if a stream is requested.

    Without ``deltas``, the message is the only delta. An empty ``reason`` is omitted.
    """

    message: Mapping[str, Any]
    deltas: tuple[Mapping[str, Any], ...] = ()
    reason: str = "stop"
    usage: Mapping[str, Any] | None = None


Step = Say | Call | Fail | Hang | Cut | Malformed | Raw | Write


def say(*parts: str, **more: Any) -> Say:
    """Return a step that answers with these parts."""
    return Say(parts, **more)


def call(*calls: tuple[str, Any], text: str = "") -> Call:
    """Return a step that calls these tools."""
    return Call(calls, text)


def sample_of(schema: Mapping[str, Any]) -> Any:
    """Return a sample value for a JSON schema."""
    if schema.get("enum"):
        return schema["enum"][0]
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = kind[0]
    if kind == "object":
        return {name: sample_of(inner) for name, inner in (schema.get("properties") or {}).items()}
    if kind == "array":
        return [sample_of(schema.get("items") or {})]
    return {"integer": 1, "number": 1.5, "boolean": True, "null": None}.get(str(kind), "text")


def usual_answer(body: Mapping[str, Any]) -> Step:
    """Return the default answer: sample JSON if a schema is requested, otherwise a text."""
    import json

    wanted = body.get("response_format") or {}
    if wanted.get("type") == "json_schema":
        schema = (wanted.get("json_schema") or {}).get("schema") or {}
        return Say((json.dumps(sample_of(schema)),))
    if wanted.get("type") == "json_object":
        return Say(('{"text": "Ahoy"}',))
    return Say(USUAL_WORDS)
