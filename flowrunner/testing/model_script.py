"""Scripts for the stand-in model server: its answers, step by step."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

#: What the stand-in says when nobody told it anything else.
USUAL_WORDS: Final = ("Ahoy", " matey", ", the", " sky", " is", " blue", ".")


@dataclass(frozen=True)
class Say:
    """Answer with a text, in parts where a stream is asked for.

    ``gate`` holds everything after the first part back until it is set. ``pause`` is waited
    before each part. ``usage`` False leaves the token counts out.
    """

    parts: tuple[str, ...]
    gate: threading.Event | None = None
    pause: float = 0.0
    usage: bool = True
    reason: str = "stop"


@dataclass(frozen=True)
class Call:
    """Ask for tools: ``("name", arguments)`` pairs; arguments may be a text that is no JSON."""

    calls: tuple[tuple[str, Any], ...]
    text: str = ""


@dataclass(frozen=True)
class Fail:
    """Refuse with a status and a message."""

    status: int
    message: str = "the stand-in refuses"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Hang:
    """Say the parts, then nothing, until the caller leaves or the server closes."""

    parts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cut:
    """Say the parts and close the connection in the middle."""

    parts: tuple[str, ...]


@dataclass(frozen=True)
class Malformed:
    """Answer with something that is no JSON."""

    text: str = "{not json"


@dataclass(frozen=True)
class Raw:
    """Answer with these bytes, whether a stream is asked for or not."""

    body: str | bytes
    status: int = 200
    kind: str = "application/json"


@dataclass(frozen=True)
class Write:
    """Answer with a message as some server writes it: whole, or in the deltas where a stream is asked for.

    Without ``deltas`` the message is the one delta. A blank ``reason`` is left out.
    """

    message: Mapping[str, Any]
    deltas: tuple[Mapping[str, Any], ...] = ()
    reason: str = "stop"
    usage: Mapping[str, Any] | None = None


Step = Say | Call | Fail | Hang | Cut | Malformed | Raw | Write


def say(*parts: str, **more: Any) -> Say:
    """Return a step that says these parts."""
    return Say(parts, **more)


def call(*calls: tuple[str, Any], text: str = "") -> Call:
    """Return a step that asks for these tools."""
    return Call(calls, text)


def sample_of(schema: Mapping[str, Any]) -> Any:
    """Return a value that fits a JSON schema, for a caller that asked for one."""
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
    """Return what is said where no script says otherwise: fitting JSON where a schema is asked for."""
    import json

    wanted = body.get("response_format") or {}
    if wanted.get("type") == "json_schema":
        schema = (wanted.get("json_schema") or {}).get("schema") or {}
        return Say((json.dumps(sample_of(schema)),))
    if wanted.get("type") == "json_object":
        return Say(('{"text": "Ahoy"}',))
    return Say(USUAL_WORDS)
