"""The operations of the API, by the name of the route: what the owner of conversations sees and does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from flowrunner.memory import ORDER_FIELDS
from flowrunner.store.ledger import RUN_STATES
from flowrunner.web.openapi import schemas as s
from flowrunner.web.openapi.operation import (
    BYTES,
    CURSOR,
    FLOW,
    LIMIT,
    OFFSET,
    TEXT,
    TRUTH,
    UUID,
    Media,
    Operation,
    Query,
    list_of,
    whole,
    word,
)

_SESSION: Final = Query("session_id", TEXT, "Only this session; an id that was encoded twice is found too.")
_SEARCH: Final = Query("q", TEXT, "Only messages with all these words, anywhere in the text, any case.")
_THIS_FLOW: Final = Query("flow_id", UUID, "The flow.", required=True)
_FILE: Final[Mapping[str, Any]] = {"type": "object", "properties": {"file": BYTES}, "required": ["file"]}
_UPLOAD: Final = Media({"multipart/form-data": _FILE})
_DOWNLOAD: Final = Media({"application/octet-stream": BYTES})

MESSAGES: Final[Mapping[str, Operation]] = {
    "list_messages": Operation(
        "messages",
        "List messages: the newest, or the newest before the cursor, then sorted",
        {200: list_of(s.Message)},
        query=(
            FLOW,
            _SESSION,
            Query("sender", TEXT, "Only this sender: User or Machine."),
            Query("sender_name", TEXT, "Only this name of a sender."),
            Query("context_id", TEXT, "Only this context."),
            _SEARCH,
            Query("end_user_id", TEXT, "Taken for compatibility; finds nothing."),
            Query("order_by", word(*ORDER_FIELDS, ""), "By what the page is sorted."),
            Query("order", {"type": "string", "pattern": "^(?i:asc|desc)$"}, "ASC or DESC."),
            LIMIT,
            OFFSET,
            Query("cursor", UUID, "Only messages before this one: the X-Next-Cursor of the page after it."),
        ),
        errors=(422,),
        cursor=True,
    ),
    "delete_messages": Operation(
        "messages", "Delete messages by their ids", {204: None}, body=list_of(UUID, most=10_000)
    ),
    "edit_message": Operation(
        "messages",
        "Change a message",
        {200: s.EditedMessage},
        body=s.MessageEdit,
        paths={"message_id": UUID},
    ),
    "list_sessions": Operation(
        "sessions",
        "List sessions, latest activity first: their ids, or what each holds",
        {200: {"anyOf": [{"type": "array", "items": TEXT}, s.SessionPage]}},
        query=(
            FLOW,
            Query("q", TEXT, "Only ids that contain this, any case."),
            Query("view", word("ids", "summary"), "Ids alone, or a summary of each."),
            LIMIT,
            OFFSET,
            CURSOR,
        ),
        errors=(422,),
        cursor=True,
    ),
    "delete_sessions": Operation(
        "sessions", "Delete the messages of sessions", {200: s.Deleted}, body=list_of(TEXT, most=500)
    ),
    "rename_session": Operation(
        "sessions",
        "Rename a session, or merge it with another one",
        {200: list_of(s.Message)},
        query=(Query("new_session_id", {"type": "string", "minLength": 1}, "The new id.", required=True),),
        errors=(409, 422),
    ),
    "delete_session": Operation("sessions", "Delete the messages of a session", {204: None}),
}

RECORDS: Final[Mapping[str, Operation]] = {
    "list_builds": Operation(
        "records",
        "List the newest build of each component of a flow, or all that are kept",
        {200: s.Builds},
        query=(_THIS_FLOW, Query("all", TRUTH, "Every build that is kept, newest first.")),
        errors=(422,),
    ),
    "delete_builds": Operation(
        "records", "Delete the builds of a flow", {204: None}, query=(_THIS_FLOW,), errors=(422,)
    ),
    "list_transactions": Operation(
        "records",
        "List the transactions of a flow, newest first",
        {200: s.TransactionPage},
        query=(
            _THIS_FLOW,
            Query("page", whole(1, None, 1), "Number of the page, from 1."),
            Query("size", whole(1, 100, 50), "Transactions on a page."),
        ),
        errors=(422,),
    ),
    "list_runs": Operation(
        "records",
        "List runs, newest first",
        {200: s.RunPage},
        query=(
            FLOW,
            Query("session_id", TEXT, "Only runs in this session."),
            Query("status", word(*RUN_STATES), "Only runs with this status."),
            Query("limit", whole(1, 100, 50), "How many at most."),
            Query("cursor", UUID, "Only runs before this one."),
        ),
        errors=(422,),
        cursor=True,
    ),
    "read_run": Operation(
        "records",
        "Show a run: its session and who decided it, its components, its messages",
        {200: s.Run},
        errors=(422,),
        paths={"run_id": UUID},
    ),
}

KEYS: Final[Mapping[str, Operation]] = {
    "list_keys": Operation("keys", "List API keys, without their texts", {200: s.ApiKeys}),
    "create_key": Operation("keys", "Make an API key", {200: s.ApiKey}, body=s.NewKey, body_required=False),
    "delete_key": Operation("keys", "Revoke an API key", {200: s.Detail}, errors=(422,), paths={"key_id": UUID}),
    "rotate_key": Operation(
        "keys", "Give an API key a new text", {200: s.ApiKey}, errors=(422,), paths={"key_id": UUID}
    ),
}

FILES: Final[Mapping[str, Operation]] = {
    "upload_file": Operation(
        "files", "Keep a file for a flow", {201: s.FlowFile}, body=_UPLOAD, errors=(429,), paths={"flow_id": UUID}
    ),
    "list_files": Operation(
        "files", "List the files of a flow", {200: s.FileNames}, errors=(422,), paths={"flow_id": UUID}
    ),
    "download_file": Operation(
        "files", "Download a file of a flow", {200: _DOWNLOAD}, errors=(422,), paths={"flow_id": UUID}
    ),
    "delete_file": Operation("files", "Delete a file of a flow", {200: s.Said}, errors=(422,), paths={"flow_id": UUID}),
    "upload_own_file": Operation("files", "Keep a file for all flows", {201: s.OwnFile}, body=_UPLOAD, errors=(429,)),
    "list_own_files": Operation("files", "List files that belong to no flow", {200: list_of(s.OwnFile)}),
    "download_own_file": Operation(
        "files", "Download a file", {200: _DOWNLOAD}, errors=(422,), paths={"file_id": UUID}
    ),
    "delete_own_file": Operation("files", "Delete a file", {200: s.Detail}, errors=(422,), paths={"file_id": UUID}),
}
