"""The monitor API: the sessions of the caller."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any, Final

from flowrunner.authority import CONVERSE
from flowrunner.components.cancelling import CancelToken
from flowrunner.errors import BadRequest, NotFound
from flowrunner.memory import EVERY_OWNER, Memory, MessageChanges, OwnerMemory
from flowrunner.memory import SessionSummary as _Summary
from flowrunner.memory.flow_memory import FlowMemory
from flowrunner.memory.paging import fitting
from flowrunner.memory.query import cursor_gone, fold
from flowrunner.memory.summaries import session_row, title_from
from flowrunner.web import schemas
from flowrunner.web.access import messages_to_change, messages_to_read
from flowrunner.web.auth import caller, stores, this_runner
from flowrunner.web.fields import Choice, Items, Text, filter_text
from flowrunner.web.input import SESSION_CONVERTER, check_path
from flowrunner.web.messages import message_rows
from flowrunner.web.pages import FLOW, LIMIT, OFFSET, limit_of, next_page
from flowrunner.web.route import Input, RouteGroup
from flowrunner.web.schemas import Body, answer, member

MOST_DELETED: Final = 500

#: The prefix of sessions of the reference server's assistant.
_HIDDEN: Final = "agentic_"
#: The maximum number of sessions found by title.
MOST_TITLED: Final = 50
#: In characters of a session id; in JSON and base64 each may become sixteen.
_LONGEST_IN_CURSOR: Final = 100


routes = RouteGroup("sessions")
BASE: Final = "/api/v1/monitor/messages"
ONE: Final = f"{BASE}/session/<{SESSION_CONVERTER}:session_id>"


#: A session.
SessionSummary: Final = answer(
    "SessionSummary",
    session_id=str,
    title=member(str | None, "The title of the session, or else the beginning of its first message."),
    count=int,
    flow_ids=[str],
    first_at=str,
    last_at=str,
    owner=member(str, "The owner; only in lists of all owners.", required=False),
)


class SessionTitle(Body):
    """The title of a session."""

    session_id = Text(required=True, least=1)
    title = Text(required=True)


SessionPage: Final = answer("SessionPage", sessions=[SessionSummary], cursor=str | None)
#: How many of the sessions that a request named had messages.
SessionsDeleted: Final = answer("SessionsDeleted", message=str, deleted_count=int)


@routes.get(
    f"{BASE}/sessions",
    needs=CONVERSE,
    query={
        "flow_id": FLOW,
        "q": filter_text("Only session ids that contain this text, ignoring case; with view=summary also titles."),
        "view": Choice("ids", "summary", help="Only ids, or a summary of each session.", load_default="ids"),
        "limit": LIMIT,
        "offset": OFFSET,
        "cursor": filter_text("The X-Next-Cursor of the previous page."),
    },
    answers={200: {"anyOf": [[{"type": "string"}], SessionPage]}},
    pages=True,
)
def list_sessions(query: Input) -> Any:
    """List sessions, latest activity first: their ids, or summaries."""
    runner = this_runner()
    memory = messages_to_read()
    limit = limit_of(query)
    asked = {"flow_id": query["flow_id"], "contains": query["q"], "limit": limit + 1, "offset": query["offset"]}
    if query["cursor"] is not None:
        asked["after"], asked["after_owner"] = _read_cursor(memory, query["cursor"])
    found = _without_hidden(memory, asked) if query["view"] == "ids" else memory.sessions(**asked)
    number = fitting(len(summary.session_id) for summary in found[:limit])
    more, found = len(found) > number, found[:number]
    following = _make_cursor(runner.memory, found[-1]) if more else None
    if query["view"] == "ids":
        return list(dict.fromkeys(s.session_id for s in found)), next_page(following)
    if query["q"] and query["cursor"] is None and not query["offset"]:
        found = _found_by_title(memory, query, found) + found
    own = caller().id
    given = stores().titles.of([s.session_id for s in found if s.owner == own])
    titles = [given.get(s.session_id) if s.owner == own else None for s in found]
    rows = [session_row(s, title or title_from(runner.memory, s)) for s, title in zip(found, titles, strict=True)]
    if memory.owner is EVERY_OWNER:
        rows = [{**row, "owner": summary.owner} for row, summary in zip(rows, found, strict=True)]
    return {"sessions": rows, "cursor": following}, next_page(following)


def _found_by_title(memory: OwnerMemory | FlowMemory, query: Input, found: list[_Summary]) -> list[_Summary]:
    """Return further sessions whose title contains the searched text, up to a limit."""
    there = {summary.session_id for summary in found}
    titled = stores().titles.find(query["q"], MOST_TITLED)
    # Sessions whose id matches too are in the list already, or on a later page.
    others = [one for one in titled if one not in there and fold(query["q"]) not in fold(one)]
    summaries = (s for one in others for s in memory.sessions(flow_id=query["flow_id"], session_id=one))
    return [summary for summary in summaries if summary.owner == caller().id]


@routes.patch(f"{BASE}/sessions", needs=CONVERSE, body=SessionTitle, answers={200: SessionTitle})
def title_session(body: Input) -> dict[str, Any]:
    """Set the title of a session.

    Lists show it instead of the beginning of the first message. An empty title removes it.
    """
    session_id = body["session_id"]
    if not messages_to_change().fetch(session_id=session_id, limit=1):
        raise NotFound("No messages found with the given session ID")
    return {"session_id": session_id, "title": stores().titles.set(session_id, body["title"])}


@routes.delete(
    f"{BASE}/sessions",
    needs=CONVERSE,
    body=Items(
        Text(),
        most=MOST_DELETED,
        too_many=f"Cannot delete more than {MOST_DELETED} sessions at once. Please batch your requests.",
    ),
    answers={200: SessionsDeleted},
)
def delete_sessions(body: list[str]) -> dict[str, Any]:
    """Delete several sessions.

    The answer has the number of sessions that had messages.
    """
    memory = messages_to_change()
    count = sum(memory.delete(session_id=session_id) > 0 for session_id in dict.fromkeys(body))
    _forget_titles(body)
    if not count:
        return {"message": "No sessions to delete", "deleted_count": 0}
    plural = "" if count == 1 else "s"
    return {"message": f"Messages deleted successfully for {count} session{plural}", "deleted_count": count}


@routes.patch(
    ONE,
    needs=CONVERSE,
    query={"new_session_id": Text("The new id.", required=True, least=1)},
    answers={200: [schemas.Message]},
    errors=(409,),
)
def rename_session(session_id: str, query: Input) -> list[dict[str, Any]]:
    """Rename a session, or merge it with another one."""
    check_path()
    runner, new = this_runner(), query["new_session_id"]
    # A run in one of the two finishes its turn first, so that no turn is split.
    with runner.services.turns.hold(caller().id, {session_id, new}, cancelled=CancelToken()):
        moved = messages_to_change().update(MessageChanges(session_id=new), session_id=session_id)
        if not moved and new == session_id:
            moved = messages_to_change().fetch(session_id=session_id)
    if not moved:
        raise NotFound("No messages found with the given session ID")
    if not runner.memory_of(caller()).fetch(session_id=session_id, limit=1):
        stores().titles.move(session_id, new)
    return message_rows(moved)


@routes.delete(ONE, needs=CONVERSE, answers={204: None})
def delete_session(session_id: str) -> None:
    """Delete a session with all its messages."""
    check_path()
    messages_to_change().delete(session_id=session_id)
    _forget_titles([session_id])


def _forget_titles(session_ids: list[str]) -> None:
    """Remove the titles of sessions without messages; a limited key deletes only the messages of its flows."""
    titles, memory = stores().titles, this_runner().memory_of(caller())
    titled = titles.of(session_ids)
    titles.remove([session_id for session_id in titled if not memory.fetch(session_id=session_id, limit=1)])


def _without_hidden(memory: OwnerMemory | FlowMemory, query: dict[str, Any]) -> list[_Summary]:
    """Return sessions as the reference server lists them, without those of its assistant."""
    offset, size = query["offset"], query["offset"] + query["limit"]
    asked, found = {**query, "offset": 0, "limit": size}, list[_Summary]()
    while True:
        page = memory.sessions(**asked)
        found += [summary for summary in page if not summary.session_id.startswith(_HIDDEN)]
        if len(page) < size or len(found) >= size:
            return found[offset:size]
        asked["after"], asked["after_owner"] = page[-1].session_id, page[-1].owner


def _make_cursor(memory: Memory, summary: _Summary) -> str:
    """Return the cursor of a session; if its id is too long for a header, the cursor names a message."""
    named = [summary.session_id, summary.owner]
    if len(summary.session_id) > _LONGEST_IN_CURSOR:
        flow_id = summary.flow_ids[0] if summary.flow_ids else None
        found = memory.for_owner(summary.owner).fetch(session_id=summary.session_id, flow_id=flow_id, limit=1)
        named = [str(message.id) for message in found] or named
    packed = json.dumps(named, separators=(",", ":"))
    return base64.urlsafe_b64encode(packed.encode()).decode().rstrip("=")


def _read_cursor(memory: OwnerMemory | FlowMemory, text: str) -> tuple[str, str]:
    """Return the session id and owner in a cursor.

    :raises BadRequest: for a text that is not a cursor.
    :raises NotFound: if the message in the cursor was deleted.
    """
    try:
        named = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        named = None
    if not isinstance(named, list) or not all(isinstance(part, str) for part in named) or len(named) not in (1, 2):
        raise BadRequest("The cursor is not valid: send the X-Next-Cursor of the previous page.")
    if len(named) == 2:
        return named[0], named[1]
    found = memory.fetch(ids=(named[0],))
    if not found:
        raise cursor_gone(text)
    return found[0].session_id, found[0].owner
