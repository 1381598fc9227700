"""The monitor API: the messages of the caller."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import unquote

from flask import Response

from flowrunner.authority import CONVERSE
from flowrunner.engine.shapes import message_fields
from flowrunner.errors import BadRequest
from flowrunner.memory import EVERY_OWNER, ORDER_FIELDS
from flowrunner.memory.message import Message
from flowrunner.memory.paging import newest_within
from flowrunner.web import schemas
from flowrunner.web.access import messages_to_change, messages_to_read
from flowrunner.web.auth import caller, this_runner
from flowrunner.web.fields import Items, Number, Text, Uuid, filter_text
from flowrunner.web.json_io import dumps, empty_response, json_response
from flowrunner.web.message_edit import MessageEdit, apply_edit
from flowrunner.web.route import Input, ListOf, RouteGroup

MOST_MESSAGES: Final = 200
USUAL_MESSAGES: Final = 100
#: Characters of a page of messages; one message may have more, and is a page of its own then.
MOST_CHARACTERS: Final = 16 * 1024 * 1024
MOST_IDS: Final = 10_000
#: Ids that one call of the store gets; a database takes no statement of any length.
_IDS_AT_ONCE: Final = 500

#: Where a list goes on: the cursor of the next page, absent after the last one.
NEXT_CURSOR: Final = "X-Next-Cursor"

routes = RouteGroup("messages")

# What several lists take.
FLOW: Final = Uuid("Only what came from this flow.")
LIMIT: Final = Number("Return at most so many; 0 means 100, and more than 200 means 200.", load_default=USUAL_MESSAGES)
OFFSET: Final = Number("Skip so many of the newest.", load_default=0)
IDS: Final = Items(
    Uuid(), most=MOST_IDS, too_many=f"At most {MOST_IDS} ids are taken at once; this list has {{count}}."
)


@routes.get(
    "/api/v1/monitor/messages",
    needs=CONVERSE,
    query={
        "flow_id": FLOW,
        "session_id": filter_text("Only this session; an id that was encoded twice is found too."),
        "sender": filter_text("Only this sender: User or Machine."),
        "sender_name": filter_text("Only this sender name."),
        "context_id": filter_text("Only this context."),
        "q": filter_text("Only messages that contain all these words, in any case."),
        "end_user_id": filter_text("Accepted for compatibility; finds nothing."),
        "order_by": Text("Field to sort the page by.", json={"enum": [*ORDER_FIELDS, ""]}, load_default="timestamp"),
        "order": Text("ASC or DESC.", json={"pattern": "^(?i:asc|desc)$"}, load_default="ASC"),
        "limit": LIMIT,
        "offset": OFFSET,
        "cursor": Uuid("The X-Next-Cursor of the previous page: only messages before this one."),
    },
    answers={200: ListOf(schemas.Message)},
    pages=True,
)
def list_messages(query: Input) -> Response:
    """List messages: the newest, or the newest before the cursor."""
    found, cursor = find_messages(query)
    return with_cursor(json_response(message_rows(found)), cursor)


@routes.delete("/api/v1/monitor/messages", needs=CONVERSE, body=IDS, answers={204: None})
def delete_messages(body: list[str]) -> Response:
    """Delete messages by their ids; unknown ones are ignored."""
    memory = messages_to_change(this_runner())
    for start in range(0, len(body), _IDS_AT_ONCE):
        memory.delete(ids=tuple(body[start : start + _IDS_AT_ONCE]))
    return empty_response()


@routes.put(
    "/api/v1/monitor/messages/<message_id>",
    needs=CONVERSE,
    path={"message_id": Uuid()},
    body=MessageEdit,
    answers={200: schemas.EditedMessage},
)
def edit_message(message_id: str, body: Input) -> Response:
    """Edit a message."""
    return json_response(edited_row(apply_edit(this_runner(), message_id, body)))


def find_messages(query: Input) -> tuple[list[Message], str | None]:
    """Return the messages that a query asks for, and the cursor of the page before them.

    The window is always the newest, or with ``cursor`` the newest before that message; only then
    is it sorted.
    """
    key, descending = read_order(query["order_by"], query["order"])
    limit = min(query["limit"] or USUAL_MESSAGES, MOST_MESSAGES)
    asked = {name: query[name] for name in ("flow_id", "sender", "sender_name", "context_id", "offset")}
    if query["end_user_id"] is not None:
        # Callers have no users of their own here, so no message is of one.
        return [], None
    memory = messages_to_read(this_runner())
    found, more = list[Message](), False
    for spelling in session_spellings(query["session_id"]) if query["session_id"] else [None]:
        asked = {**asked, "session_id": spelling, "text": query["q"], "before": query["cursor"]}
        found, more = newest_within(memory, limit + 1, MOST_CHARACTERS, **asked)
        if found:
            break
    if len(found) > limit:
        more, found = True, found[-limit:]
    return sort_messages(found, key, descending), found[0].id if more else None


def sort_messages(messages: list[Message], key: str, descending: bool) -> list[Message]:
    """Sort a page of messages. By timestamp means the order of append; messages with equal keys stay newest first."""
    if key == "timestamp":
        return messages[::-1] if descending else messages
    newest_first = messages[::-1]
    return sorted(newest_first, key=lambda m: getattr(m, key) or "", reverse=descending)


def session_spellings(text: str) -> list[str]:
    """Return the session ids that a query may mean: as it stands first, then decoded once more."""
    decoded = unquote(text)
    return [text] if decoded == text else [text, decoded]


def read_order(key: str, direction: str) -> tuple[str, bool]:
    """Return by which field to sort, and whether descending.

    :raises BadRequest: for an unknown field or direction.
    """
    if key and key not in ORDER_FIELDS:
        raise BadRequest(f"Invalid order_by field: {key}")
    if direction.upper() not in ("ASC", "DESC"):
        raise BadRequest(f"Invalid order direction: {direction}")
    # With an empty field, which the reference server does not sort by, the window stays newest first.
    return key or "timestamp", not key or direction.upper() == "DESC"


def message_rows(messages: list[Message]) -> list[dict[str, Any]]:
    """Return messages as lists show them, with their owner for callers who see everybody's."""
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


def with_cursor(answer: Response, cursor: str | None) -> Response:
    """Set the header with the cursor of the next page, if there is one."""
    if cursor is not None:
        answer.headers[NEXT_CURSOR] = cursor
    return answer
