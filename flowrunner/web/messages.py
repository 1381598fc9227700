"""The monitor API: the messages of the caller."""

from __future__ import annotations

from typing import Any, Final

from flask import Response, request

from flowrunner.authority import CONVERSE
from flowrunner.engine.shapes import message_fields
from flowrunner.errors import BadRequest, NotFound
from flowrunner.memory import EVERY_OWNER, ORDER_FIELDS
from flowrunner.memory.message import Message
from flowrunner.runner import Runner
from flowrunner.web.auth import caller
from flowrunner.web.blueprint import Routes
from flowrunner.web.edits import read_changes
from flowrunner.web.jsons import dumps, empty_response, json_response, read_json
from flowrunner.web.parameters import (
    invalid,
    query_integer,
    query_text,
    query_uuid,
    read_uuid,
    session_spellings,
)
from flowrunner.web.reach import messages_to_change, messages_to_read

MOST_MESSAGES: Final = 200
USUAL_MESSAGES: Final = 100
MOST_IDS: Final = 10_000
#: Ids that one call of the store gets; a database takes no statement of any length.
_IDS_AT_ONCE: Final = 500

#: Where a list goes on: the cursor of the next page, absent after the last one.
NEXT_CURSOR: Final = "X-Next-Cursor"


def add_monitor_routes(routes: Routes) -> None:
    """Add the message routes under ``/api/v1/monitor``."""
    runner = routes.runner

    def list_messages() -> Response:
        """List messages: the newest window, then sorted."""
        found, cursor = find_messages(runner)
        return with_cursor(json_response(message_rows(found)), cursor)

    def delete_messages() -> Response:
        """Delete messages by their ids; ids that are not there are passed over."""
        ids = read_ids(read_json(request, limit=runner.settings.max_body, strict_type=runner.settings.auth == "none"))
        memory = messages_to_change(runner)
        for start in range(0, len(ids), _IDS_AT_ONCE):
            memory.delete(ids=ids[start : start + _IDS_AT_ONCE])
        return empty_response()

    def edit_message(message_id: str) -> Response:
        """Change a message; a text that really changes marks it as edited."""
        canonical = read_uuid(message_id, ("path", "message_id"))
        return json_response(edited_row(_edit(runner, canonical)))

    base = "/api/v1/monitor/messages"
    routes.add(base, list_messages, methods=["GET"], name="list_messages", needs=CONVERSE)
    routes.add(base, delete_messages, methods=["DELETE"], name="delete_messages", needs=CONVERSE)
    routes.add(f"{base}/<message_id>", edit_message, methods=["PUT"], name="edit_message", needs=CONVERSE)


def find_messages(runner: Runner) -> tuple[list[Message], str | None]:
    """Return the messages that the present request's query asks for, and the cursor of the page before them.

    The window is always the newest, or with ``cursor`` the newest before that message; only then
    is it sorted.
    """
    flow_id, session_id = query_uuid("flow_id"), query_text("session_id")
    key, descending = read_order()
    limit = min(query_integer("limit", USUAL_MESSAGES) or USUAL_MESSAGES, MOST_MESSAGES)
    cursor = query_uuid("cursor")
    query: dict[str, Any] = {
        "flow_id": flow_id,
        "sender": query_text("sender"),
        "sender_name": query_text("sender_name"),
        "context_id": query_text("context_id"),
        "text": query_text("q"),
        "before": cursor,
        "limit": limit + 1,
        "offset": query_integer("offset", 0),
    }
    if query_text("end_user_id") is not None:
        # Callers have no users of their own here, so no message is of one.
        return [], None
    memory = messages_to_read(runner)
    found: list[Message] = []
    for spelling in session_spellings(session_id) if session_id else [None]:
        found = memory.fetch(session_id=spelling, **query)
        if found:
            break
    more, found = len(found) > limit, found[-limit:]
    return sort_messages(found, key, descending), found[0].id if more else None


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
    key = request.args.get("order_by", "timestamp")
    if key and key not in ORDER_FIELDS:
        raise BadRequest(f"Invalid order_by field: {key}")
    direction = request.args.get("order", "ASC")
    if direction.upper() not in ("ASC", "DESC"):
        raise BadRequest(f"Invalid order direction: {direction}")
    # With an empty field, which the reference server does not sort by, the window stays newest first.
    return key or "timestamp", not key or direction.upper() == "DESC"


def message_rows(messages: list[Message]) -> list[dict[str, Any]]:
    """Return messages as lists show them; one who sees everybody's sees whose they are."""
    rows = [message_row(message) for message in messages]
    if caller().scope is EVERY_OWNER:
        for row, message in zip(rows, messages, strict=True):
            row["owner"] = message.owner
    return rows


def message_row(message: Message) -> dict[str, Any]:
    """Return a message as lists show it (CONTRACT §5): ``files`` is JSON in a text, no run, no error flag."""
    row = message_fields(message)
    row["files"] = dumps(row["files"])
    for name in ("run_id", "error"):
        del row[name]
    return row


def edited_row(message: Message) -> dict[str, Any]:
    """Return a message as the answer to an edit shows it: ``files`` is a list, without ``duration``."""
    row = message_fields(message)
    del row["duration"]
    return row


def read_ids(body: Any) -> tuple[str, ...]:
    """Return the ids of a body that is a list of UUIDs.

    :raises RequestInvalid: if it is none, with the place of the first bad one.
    :raises BadRequest: for too many.
    """
    return tuple(read_uuid(item, ("body", number)) for number, item in enumerate(read_list(body, MOST_IDS)))


def read_list(body: Any, most: int) -> list[Any]:
    """Return a body that is a list.

    :raises RequestInvalid: if it is none.
    :raises BadRequest: if it has more than ``most`` items.
    """
    if body is None:
        raise invalid(("body",), "missing", "Field required")
    if not isinstance(body, list):
        raise invalid(("body",), "list_type", "Input should be a valid list")
    if len(body) > most:
        raise BadRequest(f"At most {most} ids are taken at once; this list has {len(body)}.")
    return body


def with_cursor(answer: Response, cursor: str | None) -> Response:
    """Return an answer that says where its list goes on."""
    if cursor is not None:
        answer.headers[NEXT_CURSOR] = cursor
    return answer


def _edit(runner: Runner, message_id: str) -> Message:
    changes = read_changes(runner)
    memory = messages_to_change(runner)
    found = memory.fetch(ids=(message_id,))
    if not found:
        raise NotFound("Message not found")
    changes.check_files(runner, found[0])
    applied = changes.to_apply(found[0])
    if applied.given():
        found = memory.update(applied, ids=(message_id,))
        if not found:
            raise NotFound("Message not found")
    return found[0]
