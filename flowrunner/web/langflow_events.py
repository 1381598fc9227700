"""Events of a run in the format of the reference server."""

from __future__ import annotations

from typing import Any

from flowrunner.engine.events import RunEvent
from flowrunner.engine.shapes import message_json
from flowrunner.text.timestamps import moment_text
from flowrunner.web.json_io import dump_line


def line_of(event: RunEvent) -> dict[str, Any] | None:
    """Return an event as ``{"event", "data"}``; None for events that are not sent to clients."""
    data, shown = event.data, None
    if event.kind == "token":
        shown = "token", {"chunk": data["text"], "id": data["message_id"]}
    elif event.kind == "message_added":
        message = data["message"]
        shown = "error" if message.error else "add_message", message_json(message, with_id=True)
    elif event.kind == "run_finished":
        shown = "end", {"result": data["result"].to_json()}
    elif event.kind in ("run_failed", "run_cancelled"):
        said, code = failure_of(event)
        shown = "error", {"error": said, "code": code}
    return None if shown is None else {"event": shown[0], "data": shown[1]}


def failure_of(event: RunEvent) -> tuple[str, str]:
    """Return the message and code of the error in the last event of a run."""
    if event.kind == "run_failed":
        return event.data["error"].message, event.data["error"].code
    return f"The run was stopped: {event.data['reason']}.", "run_cancelled"


def vertex_line_of(event: RunEvent) -> dict[str, Any] | None:
    """Return an event of a component as ``{"event", "data"}``, without its values; None for other events."""
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
    """Return an event in the stream format of the reference server: a line of JSON and an empty line."""
    shown = line_of(event)
    return "" if shown is None else dump_line(shown) + "\n\n"
