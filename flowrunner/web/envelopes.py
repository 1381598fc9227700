"""Answers of runs in the format of release 1.0, for older clients."""

from __future__ import annotations

from typing import Any

from flowrunner.engine.result import RunResult, VertexResult
from flowrunner.memory.message import Message


def old_envelope(result: RunResult) -> dict[str, Any]:
    """Return a run's answer in the format of release 1.0.

    Messages have seven fields and timestamps of whole seconds; the output holds the whole message
    with the type ``object``; entries of ``messages`` have the type ``message``.
    """
    value = result.start.input_value
    return {
        "session_id": result.session_id,
        "session": result.session.to_json(),
        "outputs": [
            {
                "inputs": {} if value is None else {"input_value": value},
                "outputs": [_old_vertex(vertex) for vertex in result.reported],
            }
        ],
        **({"warnings": list(result.warnings)} if result.warnings else {}),
    }


def _old_vertex(vertex: VertexResult) -> dict[str, Any]:
    shown = vertex.to_json()
    for name in ("timedelta", "duration", "token_usage"):
        del shown[name]
    for name, value in vertex.outputs.items():
        if isinstance(value, Message) and vertex.kind is not None:
            fields = _old_fields(value)
            shown["results"][name] = {"text_key": "text", "data": fields, "default_value": "", **fields}
            shown["outputs"][name] = {"message": fields, "type": "object"}
    for entry in shown["messages"]:
        del entry["stream_url"]
        entry["type"] = "message"
    return shown


def _old_fields(message: Message) -> dict[str, Any]:
    return {
        "text": message.text,
        "sender": message.sender,
        "sender_name": message.sender_name,
        "session_id": message.session_id,
        "files": list(message.files),
        "timestamp": message.timestamp.strftime("%Y-%m-%d %H:%M:%S"),
        "flow_id": message.flow_id,
    }
