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
    """The facts of a run known before its first vertex runs; the run log stores them.

    ``input_value`` is None if the request had no input. ``session`` is None if the session is known only later in
    the run.
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
    """The result of one vertex.

    ``inputs`` are the values of its own fields, without those from edges; ``outputs`` the values by output name.
    ``kind`` is ``chat`` or ``text`` for vertices whose message the answer shows. ``status`` is ``cancelled`` if the
    vertex was running when the run was stopped or timed out. ``error`` is the message of a failure; ``duration`` is
    in seconds. ``untaken`` names the outputs without a value. ``secrets`` names the inputs whose values must never be
    stored, and ``secret_values`` holds those values, also if ``inputs`` has only the name of a variable.
    ``component_type`` is the canonical type of the component, however the flow spells it. ``spent`` has the tokens
    that the component counted, besides those of its message.
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
    spent: tuple[dict[str, Any], ...] = ()

    @property
    def message(self) -> Message | None:
        """The message among the outputs, or None."""
        return next((v for v in self.outputs.values() if isinstance(v, Message)), None)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON that run answers and build records show."""
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
    """The result of a run, for HTTP, the command line and Python alike.

    ``vertices`` are the results of all vertices that ran, in the order of the flow file; ``reported`` are those that
    the answer shows. ``messages`` are the stored messages, in order. ``warnings`` are sentences about parts of the
    flow that were left out, for callers who may see its graph. ``duration`` is in seconds.
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
        """The id of the run."""
        return self.start.run_id

    @property
    def session_id(self) -> str:
        """The session that the answer names."""
        return self.session.id

    @property
    def text(self) -> str:
        """The text of the first message in the answer; empty if there is none."""
        for vertex in self.reported:
            message = vertex.message
            if message is not None:
                return message.text
        return ""

    def output(self, vertex_id: str) -> Mapping[str, Any] | None:
        """Return the outputs of a vertex by its id, or None if it did not run."""
        return next((v.outputs for v in self.vertices if v.vertex_id == vertex_id), None)

    def to_json(self) -> dict[str, Any]:
        """Return the answer of a run in the format of the reference server, plus ``session`` and any ``warnings``."""
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
