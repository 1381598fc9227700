"""The monitor API: the messages of the caller."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final
from urllib.parse import unquote

from flowrunner.authority import CONVERSE
from flowrunner.engine.shapes import message_fields, message_row
from flowrunner.errors import BadRequest, NotFound
from flowrunner.memory import EVERY_OWNER, ORDER_FIELDS, MessageChanges
from flowrunner.memory.message import Message, make_properties
from flowrunner.memory.paging import newest_within
from flowrunner.web import schemas
from flowrunner.web.access import messages_to_change, messages_to_read
from flowrunner.web.auth import caller, stores
from flowrunner.web.fields import Items, Object, Text, Truth, Uuid, filter_text
from flowrunner.web.pages import FLOW, IDS, LIMIT, OFFSET, limit_of, next_page
from flowrunner.web.route import Input, RouteGroup
from flowrunner.web.schemas import Body

#: The maximum size of a page of messages in characters; a larger single message is a page of its own.
MOST_CHARACTERS: Final = 16 * 1024 * 1024
#: The maximum number of ids per call of the store, since databases limit the length of statements.
_IDS_AT_ONCE: Final = 500
_FOREIGN_FILE: Final = "Message attachment is outside the permitted storage scope."

routes = RouteGroup("messages")


class MessageEdit(Body):
    """The members of a message to change; null and unknown members are ignored."""

    text = Text(allow_none=True)
    sender = Text(allow_none=True, least=1)
    sender_name = Text(allow_none=True, least=1)
    session_id = Text(allow_none=True, least=1)
    context_id = Text(allow_none=True)
    files = Items(Text(), allow_none=True)
    edit = Truth(allow_none=True)
    error = Truth(allow_none=True)
    properties = Object(allow_none=True)
    session_metadata = Object(allow_none=True)
    category = Text(allow_none=True)
    content_blocks = Items(Object(), allow_none=True)


@routes.get(
    "/api/v1/monitor/messages",
    needs=CONVERSE,
    query={
        "flow_id": FLOW,
        "session_id": filter_text("Only this session; also found if the id was percent-encoded twice."),
        "sender": filter_text("Only this sender: User or Machine."),
        "sender_name": filter_text("Only this sender name."),
        "context_id": filter_text("Only this context id."),
        "q": filter_text("Only messages that contain all these words, ignoring case."),
        "end_user_id": filter_text("Accepted for compatibility; no message matches."),
        "order_by": Text("Field to sort the page by.", json={"enum": [*ORDER_FIELDS, ""]}, load_default="timestamp"),
        "order": Text("ASC or DESC.", json={"pattern": "^(?i:asc|desc)$"}, load_default="ASC"),
        "limit": LIMIT,
        "offset": OFFSET,
        "cursor": Uuid("The X-Next-Cursor of the previous page: only messages before this one."),
    },
    answers={200: [schemas.Message]},
    pages=True,
)
def list_messages(query: Input) -> Any:
    """List messages: the newest, or the newest before a cursor."""
    # Only this window is sorted, not all messages.
    key, descending = read_order(query["order_by"], query["order"])
    limit = limit_of(query)
    asked = {name: query[name] for name in ("flow_id", "sender", "sender_name", "context_id", "offset")}
    if query["end_user_id"] is not None:
        # There are no end users here, so no message has one.
        return []
    memory = messages_to_read()
    found, more = list[Message](), False
    named = query["session_id"]
    # First unchanged, then decoded once more.
    for spelling in dict.fromkeys((named, unquote(named))) if named else (None,):
        asked = {**asked, "session_id": spelling, "text": query["q"], "before": query["cursor"]}
        found, more = newest_within(memory, limit + 1, MOST_CHARACTERS, **asked)
        if found:
            break
    if len(found) > limit:
        more, found = True, found[-limit:]
    rows = message_rows(sort_messages(found, key, descending))
    return rows, next_page(found[0].id if more else None)


@routes.delete("/api/v1/monitor/messages", needs=CONVERSE, body=IDS, answers={204: None})
def delete_messages(body: list[str]) -> None:
    """Delete messages by id; unknown ids are ignored."""
    memory = messages_to_change()
    for start in range(0, len(body), _IDS_AT_ONCE):
        memory.delete(ids=tuple(body[start : start + _IDS_AT_ONCE]))


@routes.put(
    "/api/v1/monitor/messages/<message_id>",
    needs=CONVERSE,
    path={"message_id": Uuid()},
    body=MessageEdit,
    answers={200: schemas.EditedMessage},
)
def edit_message(message_id: str, body: Input) -> dict[str, Any]:
    """Edit a message."""
    row = message_fields(apply_edit(message_id, body))
    del row["duration"]
    return row


def sort_messages(messages: list[Message], key: str, descending: bool) -> list[Message]:
    """Sort a page of messages. By timestamp means in order of append; messages with equal keys stay newest first."""
    if key == "timestamp":
        return messages[::-1] if descending else messages
    newest_first = messages[::-1]
    return sorted(newest_first, key=lambda m: getattr(m, key) or "", reverse=descending)


def read_order(key: str, direction: str) -> tuple[str, bool]:
    """Return the field to sort by, and whether to sort in descending order.

    :raises BadRequest: for an unknown field or direction.
    """
    if key and key not in ORDER_FIELDS:
        raise BadRequest(f"Invalid order_by field: {key}")
    if direction.upper() not in ("ASC", "DESC"):
        raise BadRequest(f"Invalid order direction: {direction}")
    # With an empty field, which the reference server does not sort by, the window stays newest first.
    return key or "timestamp", not key or direction.upper() == "DESC"


def message_rows(messages: list[Message]) -> list[dict[str, Any]]:
    """Return messages in the format of lists, with their owner for callers who see all owners."""
    if caller().scope is EVERY_OWNER:
        return [{**message_row(message), "owner": message.owner} for message in messages]
    return [message_row(message) for message in messages]


def apply_edit(message_id: str, body: Mapping[str, Any]) -> Message:
    """Change a message of the current caller and return it. A new text always marks it as edited.

    :param body: validated by :class:`MessageEdit`.
    :raises NotFound: if the caller has no such message.
    :raises BadRequest: for a file that is not an upload of the caller.
    """
    given = {name: value for name, value in body.items() if value is not None}
    if "properties" in given:
        given["properties"] = make_properties(**given["properties"])
    for name in given.keys() & {"files", "content_blocks"}:
        given[name] = tuple(given[name])
    changes = MessageChanges(**given)
    _check_files(changes)
    memory = messages_to_change()
    found = memory.fetch(ids=(message_id,))
    if found and caller().flows is not None:
        # A key limited to flows may only name files of the message's flow.
        _check_files(changes, found[0].flow_id or "")
    if found and changes.text is not None and changes.text != found[0].text:
        changes = replace(changes, edit=True)
    if found and changes.given():
        found = memory.update(changes, ids=(message_id,))
    if not found:
        raise NotFound("Message not found")
    return found[0]


def _check_files(changes: MessageChanges, flow_id: str | None = None) -> None:
    """Refuse files that the caller may not name in a message.

    :param flow_id: if set, only files of this flow may be named.
    """
    for name in changes.files or ():
        try:
            stores().files.path_of(name, flow_id=flow_id)
        except BadRequest:
            raise BadRequest(_FOREIGN_FILE) from None
