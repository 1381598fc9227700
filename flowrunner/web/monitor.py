"""The monitor API: messages and sessions of the caller."""

from __future__ import annotations

from typing import Any, Final

from flask import Response, request

from flowrunner.engine.shapes import message_fields
from flowrunner.errors import BadRequest
from flowrunner.memory import ORDER_FIELDS
from flowrunner.messages import Message
from flowrunner.web.auth import caller
from flowrunner.web.blueprint import Routes
from flowrunner.web.jsons import dumps, json_response, read_json
from flowrunner.web.parameters import (
    invalid,
    query_integer,
    query_text,
    query_uuid,
    read_uuid,
    session_spellings,
)

MOST_MESSAGES: Final = 200
USUAL_MESSAGES: Final = 100


def add_monitor_routes(routes: Routes) -> None:
    """Add the message routes under ``/api/v1/monitor``."""
    runner = routes.runner

    def list_messages() -> Response:
        return json_response([message_row(m) for m in find_messages(runner)])

    def delete_messages() -> Response:
        body = read_json(request, limit=runner.settings.max_body)
        ids = read_ids(body)
        if ids:
            runner.memory_of(caller()).delete(ids=ids)
        return Response(status=204)

    routes.add("/api/v1/monitor/messages", list_messages, methods=["GET"], name="list_messages")
    routes.add("/api/v1/monitor/messages", delete_messages, methods=["DELETE"], name="delete_messages")


def find_messages(runner: Any) -> list[Message]:
    """Return the messages that the present request's query asks for: the newest window, then sorted."""
    flow_id, session_id = query_uuid("flow_id"), query_text("session_id")
    key, descending = read_order()
    limit = query_integer("limit", USUAL_MESSAGES) or USUAL_MESSAGES
    query: dict[str, Any] = {
        "flow_id": flow_id,
        "sender": query_text("sender"),
        "sender_name": query_text("sender_name"),
        "limit": min(limit, MOST_MESSAGES),
        "offset": query_integer("offset", 0),
    }
    memory = runner.memory_of(caller())
    found: list[Message] = []
    for spelling in session_spellings(session_id) if session_id else [None]:
        found = memory.fetch(session_id=spelling, **query)
        if found:
            break
    return sort_messages(found, key, descending)


def sort_messages(messages: list[Message], key: str, descending: bool) -> list[Message]:
    """Sort a window for display. By timestamp it is the order of append; equal keys stay newest first."""
    if key == "timestamp":
        return messages[::-1] if descending else messages
    newest_first = messages[::-1]
    return sorted(newest_first, key=lambda m: getattr(m, key) or "", reverse=descending)


def read_order() -> tuple[str, bool]:
    """Return by which field to sort, and whether descending.

    :raises BadRequest: for an unknown field or direction.
    """
    key = request.args.get("order_by") or "timestamp"
    if key not in ORDER_FIELDS:
        raise BadRequest(f"Invalid order_by field: {key}")
    direction = request.args.get("order", "ASC")
    if direction.upper() not in ("ASC", "DESC"):
        raise BadRequest(f"Invalid order direction: {direction}")
    return key, direction.upper() == "DESC"


def message_row(message: Message) -> dict[str, Any]:
    """Return a message as lists show it (CONTRACT §5): ``files`` is JSON in a text, no run, no error flag."""
    row = message_fields(message)
    row["files"] = dumps(row["files"])
    for name in ("run_id", "error"):
        del row[name]
    return row


def read_ids(body: Any) -> tuple[str, ...]:
    """Return the ids of a body that is a list of UUIDs.

    :raises RequestInvalid: if it is none, with the place of the first bad one.
    """
    if body is None:
        raise invalid(("body",), "missing", "Field required")
    if not isinstance(body, list):
        raise invalid(("body",), "list_type", "Input should be a valid list")
    return tuple(read_uuid(item, ("body", number)) for number, item in enumerate(body))
