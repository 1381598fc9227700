"""Events of a run as the reference server names them."""

from __future__ import annotations

from typing import Any

from flowrunner.engine.events import RunEvent
from flowrunner.engine.shapes import message_json
from flowrunner.text.timestamps import moment_text
from flowrunner.web.json_io import dump_line


def line_of(event: RunEvent) -> dict[str, Any] | None:
    """Return an event as ``{"event", "data"}``; None for those that clients are not shown."""
    data = event.data
    if event.kind == "token":
        return {"event": "token", "data": {"chunk": data["text"], "id": data["message_id"]}}
    if event.kind == "message_added":
        message = data["message"]
        return {"event": "error" if message.error else "add_message", "data": message_json(message, with_id=True)}
    if event.kind == "run_finished":
        return {"event": "end", "data": {"result": data["result"].to_json()}}
    if event.kind == "run_failed":
        return {"event": "error", "data": {"error": data["error"].message, "code": data["error"].code}}
    if event.kind == "run_cancelled":
        return {"event": "error", "data": {"error": f"The run was stopped: {data['reason']}.", "code": "run_cancelled"}}
    return None


def vertex_line_of(event: RunEvent) -> dict[str, Any] | None:
    """Return what a component does as ``{"event", "data"}``, without its values; None for other events."""
    data = event.data
    if event.kind == "vertex_started":
        return {"event": "vertex_started", "data": {"id": data["vertex_id"], "at": moment_text(event.at)}}
    if event.kind == "vertex_finished":
        result = data["result"]
        shown = {
            "id": result.vertex_id,
            "status": result.status,
            "duration": result.duration,
            "session": result.session.to_json() if result.session else None,
            "untaken": list(result.untaken),
            "error": result.error,
            "at": moment_text(event.at),
        }
        return {"event": "vertex_finished", "data": shown}
    return None


def line_text(event: RunEvent) -> str:
    """Return an event as the reference server streams it: JSON on a line, and an empty line after it."""
    shown = line_of(event)
    return "" if shown is None else dump_line(shown) + "\n\n"
