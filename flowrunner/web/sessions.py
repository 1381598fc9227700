"""The monitor API: the sessions of the caller."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any, Final

from flask import Response, request

from flowrunner.authority import CONVERSE
from flowrunner.components import CancelToken
from flowrunner.errors import BadRequest, NotFound
from flowrunner.memory import EVERY_OWNER, Memory, MessageChanges, OwnerMemory, SessionSummary
from flowrunner.memory.query import cursor_gone
from flowrunner.runner import Runner
from flowrunner.text.timestamps import timestamp_text
from flowrunner.web.auth import caller
from flowrunner.web.blueprint import Routes
from flowrunner.web.jsons import empty_response, json_response, read_json
from flowrunner.web.messages import message_rows, read_list, with_cursor
from flowrunner.web.parameters import invalid, query_integer, query_text, query_uuid
from flowrunner.web.paths import SESSION_CONVERTER, check_path
from flowrunner.web.reach import FlowMemory, messages_to_change, messages_to_read

MOST_SESSIONS: Final = 200
USUAL_SESSIONS: Final = 100
MOST_DELETED: Final = 500

#: How the sessions of the reference server's assistant begin.
_HIDDEN: Final = "agentic_"
_TITLE: Final = 80
#: Characters of a session id; in JSON and base64 each may become sixteen.
_LONGEST_IN_CURSOR: Final = 100
#: A longer conversation has no title: finding its first message would mean counting through all of it.
_MOST_FOR_TITLE: Final = 5000


def add_session_routes(routes: Routes) -> None:
    """Add the session routes under ``/api/v1/monitor/messages``."""
    runner = routes.runner

    def list_sessions() -> Response:
        """List session ids, latest activity first; with ``view=summary`` what each holds."""
        return _list(runner)

    def rename_session(session_id: str) -> Response:
        """Move the messages of a session to another id; a session that is there already is merged with it."""
        check_path()
        new = request.args.get("new_session_id")
        if new is None:
            raise invalid(("query", "new_session_id"), "missing", "Field required")
        if not new:
            message = "String should have at least 1 character"
            raise invalid(("query", "new_session_id"), "string_too_short", message, min_length=1)
        # A run in one of the two finishes its turn first, so that no conversation is torn apart.
        with runner.services.turns.hold(caller().id, {session_id, new}, cancelled=CancelToken()):
            moved = messages_to_change(runner).update(MessageChanges(session_id=new), session_id=session_id)
            if not moved and new == session_id:
                moved = messages_to_change(runner).fetch(session_id=session_id)
        if not moved:
            raise NotFound("No messages found with the given session ID")
        return json_response(message_rows(moved))

    def delete_session(session_id: str) -> Response:
        """Delete the messages of a session, if there are any."""
        check_path()
        messages_to_change(runner).delete(session_id=session_id)
        return empty_response()

    def delete_sessions() -> Response:
        """Delete the messages of several sessions."""
        ids = _read_session_ids(runner)
        memory = messages_to_change(runner)
        count = len(ids)
        for session_id in dict.fromkeys(ids):
            memory.delete(session_id=session_id)
        if not count:
            return json_response({"message": "No sessions to delete", "deleted_count": 0})
        plural = "" if count == 1 else "s"
        message = f"Messages deleted successfully for {count} session{plural}"
        return json_response({"message": message, "deleted_count": count})

    base = "/api/v1/monitor/messages"
    one = f"{base}/session/<{SESSION_CONVERTER}:session_id>"
    routes.add(f"{base}/sessions", list_sessions, methods=["GET"], name="list_sessions", needs=CONVERSE)
    routes.add(f"{base}/sessions", delete_sessions, methods=["DELETE"], name="delete_sessions", needs=CONVERSE)
    routes.add(one, rename_session, methods=["PATCH"], name="rename_session", needs=CONVERSE)
    routes.add(one, delete_session, methods=["DELETE"], name="delete_session", needs=CONVERSE)


def session_row(summary: SessionSummary, title: str | None) -> dict[str, Any]:
    """Return a session as summaries show it."""
    return {
        "session_id": summary.session_id,
        "title": title,
        "count": summary.count,
        "flow_ids": list(summary.flow_ids),
        "first_at": timestamp_text(summary.first_at),
        "last_at": timestamp_text(summary.last_at),
    }


def title_of(text: str) -> str:
    """Return how a conversation that begins with a text is called: its beginning, in one line."""
    line = " ".join(text[: _TITLE * 10].split())
    return line if len(line) <= _TITLE else line[: _TITLE - 1] + "…"


def _list(runner: Runner) -> Response:
    view = request.args.get("view", "ids")
    if view not in ("ids", "summary"):
        raise invalid(("query", "view"), "enum", "Input should be 'ids' or 'summary'")
    limit = min(query_integer("limit", USUAL_SESSIONS) or USUAL_SESSIONS, MOST_SESSIONS)
    query: dict[str, Any] = {
        "flow_id": query_uuid("flow_id"),
        "contains": query_text("q"),
        "limit": limit + 1,
        "offset": query_integer("offset", 0),
    }
    cursor = query_text("cursor")
    memory = messages_to_read(runner)
    if cursor is not None:
        query["after"], query["after_owner"] = _read_cursor(memory, cursor)
    found = _without_hidden(memory, query) if view == "ids" else memory.sessions(**query)
    more, found = len(found) > limit, found[:limit]
    following = _make_cursor(runner.memory, found[-1]) if more else None
    if view == "ids":
        return with_cursor(json_response(list(dict.fromkeys(s.session_id for s in found))), following)
    rows = [session_row(summary, title_from(runner.memory, summary)) for summary in found]
    if memory.owner is EVERY_OWNER:
        for row, summary in zip(rows, found, strict=True):
            row["owner"] = summary.owner
    return with_cursor(json_response({"sessions": rows, "cursor": following}), following)


def _without_hidden(memory: OwnerMemory | FlowMemory, query: dict[str, Any]) -> list[SessionSummary]:
    """Return sessions as the reference server's list has them, which leaves out those of its own assistant."""
    offset, size = query["offset"], query["offset"] + query["limit"]
    asked, found = {**query, "offset": 0, "limit": size}, list[SessionSummary]()
    while True:
        page = memory.sessions(**asked)
        found += [summary for summary in page if not summary.session_id.startswith(_HIDDEN)]
        if len(page) < size or len(found) >= size:
            return found[offset:size]
        asked["after"], asked["after_owner"] = page[-1].session_id, page[-1].owner


def title_from(memory: Memory, summary: SessionSummary) -> str | None:
    """Return how a session is called; None for one whose first message is too far back."""
    if summary.count > _MOST_FOR_TITLE:
        return None
    flow_id = summary.flow_ids[0] if len(summary.flow_ids) == 1 else None
    found = memory.for_owner(summary.owner).fetch(
        session_id=summary.session_id, flow_id=flow_id, limit=1, offset=summary.count - 1
    )
    return title_of(found[0].text) if found else None


def _make_cursor(memory: Memory, summary: SessionSummary) -> str:
    """Return what names a session in a header and in a query: where its id is too long for them, a message of it."""
    named = [summary.session_id, summary.owner]
    if len(summary.session_id) > _LONGEST_IN_CURSOR:
        flow_id = summary.flow_ids[0] if summary.flow_ids else None
        found = memory.for_owner(summary.owner).fetch(session_id=summary.session_id, flow_id=flow_id, limit=1)
        named = [str(message.id) for message in found] or named
    packed = json.dumps(named, separators=(",", ":"))
    return base64.urlsafe_b64encode(packed.encode()).decode().rstrip("=")


def _read_cursor(memory: OwnerMemory | FlowMemory, text: str) -> tuple[str, str]:
    """Return session id and owner of the session that a cursor names.

    :raises BadRequest: for a text that is no cursor.
    :raises NotFound: if the message that names the session is gone.
    """
    try:
        named = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        named = None
    if not isinstance(named, list) or not all(isinstance(part, str) for part in named) or len(named) not in (1, 2):
        raise BadRequest("The cursor is none that this server gave out.")
    if len(named) == 2:
        return named[0], named[1]
    found = memory.fetch(ids=(named[0],))
    if not found:
        raise cursor_gone(text)
    return found[0].session_id, found[0].owner


def _read_session_ids(runner: Runner) -> list[str]:
    settings = runner.settings
    body = read_json(request, limit=settings.max_body, strict_type=settings.auth == "none")
    if isinstance(body, list) and len(body) > MOST_DELETED:
        raise BadRequest(f"Cannot delete more than {MOST_DELETED} sessions at once. Please batch your requests.")
    ids = read_list(body, MOST_DELETED)
    for number, item in enumerate(ids):
        if not isinstance(item, str):
            raise invalid(("body", number), "string_type", "Input should be a valid string")
    return ids
