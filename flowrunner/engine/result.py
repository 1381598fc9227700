"""The result of a run: one result per vertex, and the answer made from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from flowrunner.engine.shapes import message_json, value_json, value_repr, value_type
from flowrunner.memory.message import Message
from flowrunner.session import Session


@dataclass(frozen=True, slots=True)
class RunStart:
    """What is known of a run before its first vertex: the run log keeps it.

    ``input_value`` is None where the request brought none. ``session`` is None where the session
    is decided only in mid-run.
    """

    run_id: str
    flow_id: str
    flow_name: str
    content_hash: str
    owner: str
    started_at: datetime
    input_value: str | None = None
    session: Session | None = None
    warnings: tuple[str, ...] = ()


@dataclass(slots=True)
class VertexResult:
    """What one vertex did.

    ``inputs`` are the values of its own fields, without those that came over edges; ``outputs``
    the values by output name. ``kind`` is ``chat`` or ``text`` for vertices whose message is
    reported as such. ``status`` is ``cancelled`` for a vertex that was at work when its run was stopped
    or took too long. ``error`` is the plain sentence of a failure; ``duration`` is in seconds.
    ``untaken`` names the outputs that gave nothing. ``secrets`` names the inputs whose values must
    never be kept, and ``secret_values`` holds those values, also where ``inputs`` has only the name
    of a variable. ``component_type`` is the type of the component itself, however the flow spells it.
    """

    vertex_id: str
    type: str
    display_name: str
    status: Literal["success", "error", "cancelled"]
    session: Session | None
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]
    kind: str | None
    started_at: datetime
    duration: float
    used_frozen_result: bool = False
    error: str | None = None
    untaken: tuple[str, ...] = ()
    secrets: frozenset[str] = frozenset()
    secret_values: tuple[str, ...] = field(default=(), repr=False)
    component_type: str = ""

    @property
    def message(self) -> Message | None:
        """The message among its outputs, if there is one."""
        return next((v for v in self.outputs.values() if isinstance(v, Message)), None)

    def to_json(self) -> dict[str, Any]:
        """Return it as run answers and build records show it."""
        results: dict[str, Any] = {}
        artifacts: dict[str, Any] = {}
        shown: dict[str, Any] = {}
        messages: list[dict[str, Any]] = []
        for name, value in self.outputs.items():
            plain, kind = value_json(value), value_type(value)
            shown[name] = {"message": plain, "type": kind}
            if isinstance(value, Message) and self.kind is not None:
                results[name] = message_json(value)
                if value.text:
                    messages.append(self._message_entry(value))
            if isinstance(value, Message) and self.kind == "chat":
                artifacts.update(_chat_artifact(name, value))
            else:
                artifacts[name] = {"repr": value_repr(value), "raw": plain, "type": kind}
        for name in self.untaken:
            said = self.message
            artifacts[name] = {"repr": said.text if said is not None else "", "raw": "", "type": "text"}
            shown[name] = {"message": "", "type": "text"}
        return {
            "results": results,
            "artifacts": artifacts,
            "outputs": shown,
            "logs": {name: [] for name in (*self.outputs, *self.untaken)},
            "messages": messages,
            "timedelta": None,
            "duration": None,
            "component_display_name": self.display_name,
            "component_id": self.vertex_id,
            "used_frozen_result": self.used_frozen_result,
            "token_usage": None,
        }

    def _message_entry(self, message: Message) -> dict[str, Any]:
        return {
            "message": message.text,
            "sender": message.sender or "Machine",
            "sender_name": message.sender_name or "AI",
            "session_id": message.session_id,
            "stream_url": None,
            "component_id": self.vertex_id,
            "files": list(message.files),
            "type": "text",
        }


def _chat_artifact(name: str, message: Message) -> dict[str, Any]:
    return {
        name: message.text,
        "sender": message.sender,
        "sender_name": message.sender_name,
        "files": list(message.files),
        "type": "object",
    }


@dataclass(slots=True)
class RunResult:
    """What a run gave: the same object for HTTP, the command line and Python.

    ``vertices`` are the results of all vertices that ran, in the order of the flow file;
    ``reported`` those that the answer shows. ``messages`` are the messages stored, in order. ``warnings``
    are sentences about what of the flow was left out, for those who may know what it is made of.
    ``duration`` is in seconds.
    """

    start: RunStart
    session: Session
    vertices: Sequence[VertexResult]
    reported: Sequence[VertexResult]
    messages: Sequence[Message]
    duration: float
    warnings: Sequence[str] = field(default=(), kw_only=True)

    @property
    def run_id(self) -> str:
        """Id of the run."""
        return self.start.run_id

    @property
    def session_id(self) -> str:
        """The session that the answer names."""
        return self.session.id

    @property
    def text(self) -> str:
        """Text of the first reported message; empty if there is none."""
        for vertex in self.reported:
            message = vertex.message
            if message is not None:
                return message.text
        return ""

    def output(self, vertex_id: str) -> Mapping[str, Any] | None:
        """Return the outputs of a vertex by its id, or None if it did not run."""
        return next((v.outputs for v in self.vertices if v.vertex_id == vertex_id), None)

    def to_json(self) -> dict[str, Any]:
        """Return the answer of a run as the reference server gives it, plus ``session`` and, if any, ``warnings``."""
        value = self.start.input_value
        warnings = {"warnings": list(self.warnings)} if self.warnings else {}
        return {
            "session_id": self.session.id,
            "session": self.session.to_json(),
            "outputs": [
                {
                    "inputs": {} if value is None else {"input_value": value},
                    "outputs": [vertex.to_json() for vertex in self.reported],
                }
            ],
            **warnings,
        }
