"""The operations of the API, by the name of the route: flows, how they are run, variables, and the server itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from flowrunner.web.openapi import schemas_of_flows as f
from flowrunner.web.openapi.operation import (
    BYTES,
    TEXT,
    TRUTH,
    UUID,
    ListOf,
    Media,
    Operation,
    Query,
    list_of,
    whole,
    word,
)
from flowrunner.web.openapi.schemas import Said
from flowrunner.web.run import RunBody

_ANY: Final[Mapping[str, Any]] = {}
_IDS: Final[ListOf] = list_of(UUID)
_FLOW: Final = {"flow_id": UUID}
_UPLOAD: Final = Media({"multipart/form-data": {"type": "object", "properties": {"file": BYTES}, "required": ["file"]}})
_EVENTS: Final[Mapping[str, Any]] = {"type": "string", "description": "Events, one after the other."}
#: Statuses with which a run may end.
_RUN: Final = (409, 429, 499, 504)

SERVICE: Final[Mapping[str, Operation]] = {
    "health": Operation("server", "Say that the server is there", {200: f.Health}, open=True),
    "health_check": Operation(
        "server", "Say whether memory and database answer", {200: f.HealthCheck, 503: f.HealthCheck}, open=True
    ),
    "version": Operation("server", "Say which version this is", {200: f.Version}, open=True),
    "config": Operation("server", "Say what clients may know of the settings", {200: f.Config}, open=True),
    "openapi": Operation("server", "Describe this API", {200: {"type": "object"}, 304: None}, open=True),
    "metrics": Operation("server", "Show figures for Prometheus; admin keys only", {200: Media({"text/plain": TEXT})}),
    "chatbox_file": Operation(
        "server",
        "Send the script or the style of the chat box",
        {200: Media({"text/javascript": TEXT, "text/css": TEXT}), 304: None},
        errors=(404,),
        open=True,
    ),
}

RUNS: Final[Mapping[str, Operation]] = {
    "run": Operation(
        "runs",
        "Run a flow",
        {
            200: Media({"application/json": f.RunAnswer, "text/plain": TEXT, "text/event-stream": _EVENTS}),
            202: f.Started,
        },
        query=(
            Query("background", TRUTH, "Accept the run and answer at once; its record says what became of it."),
            Query("stream", {"type": "string"}, "true: a line per event, as the reference server; sse: standard SSE."),
            Query("envelope", word("1.13", "1.0"), "Shape of the answer."),
        ),
        body=Media({"application/json": RunBody, "multipart/form-data": {"type": "object"}}),
        body_required=False,
        errors=_RUN,
    ),
    "responses": Operation(
        "runs",
        "Run a flow as OpenAI's Responses API does",
        {
            200: Media({"application/json": f.ResponsesAnswer, "text/event-stream": _EVENTS}),
            **dict.fromkeys((400, 403, 404, 409, 422, 429, 499, 500, 503, 504), f.ResponsesError),
        },
        query=(Query("events", word("openai", "chunks"), "Which events a stream has."),),
        body=f.ResponsesBody,
    ),
    "cancel_run": Operation(
        "runs",
        "Stop a run, whichever process it is in or waits in",
        {202: Said},
        errors=(409, 422),
        paths={"run_id": UUID},
    ),
    "webhook": Operation(
        "runs",
        "Run a flow in the background",
        {202: f.Started},
        body=Media({"application/json": _ANY, "text/plain": TEXT}),
    ),
}

FLOWS: Final[Mapping[str, Operation]] = {
    "list_flows": Operation(
        "flows",
        "List flows",
        {200: {"anyOf": [ListOf(f.FlowHeader), {"type": "object"}]}},
        query=(
            Query("get_all", TRUTH, "All in one list; false: page by page."),
            Query("header_flows", TRUTH, "Without their data."),
            Query("page", whole(1, None, 1), "Number of the page, from 1."),
            Query("size", whole(1, 100, 50), "Flows on a page."),
        ),
        errors=(422,),
    ),
    "create_flow": Operation("flows", "Create a flow", {201: f.FlowAnswer}, body=f.FlowBody, errors=(409,)),
    "delete_flows": Operation("flows", "Delete flows by their ids", {200: f.FlowsDeleted}, body=_IDS),
    "upload_flows": Operation("flows", "Create the flows of a file", {201: list_of(f.FlowAnswer)}, body=_UPLOAD),
    "create_flows": Operation("flows", "Create several flows", {201: list_of(f.FlowAnswer)}, body=f.FlowBatch),
    "download_flows": Operation(
        "flows",
        "Download flows: one as JSON, several as an archive",
        {200: Media({"application/json": f.FlowAnswer, "application/x-zip-compressed": BYTES})},
        body=_IDS,
    ),
    "read_flow": Operation("flows", "Show a flow", {200: f.FlowAnswer}, errors=(422,), paths=_FLOW),
    "change_flow": Operation(
        "flows", "Change members of a flow", {200: f.FlowAnswer}, body=f.FlowChanges, paths=_FLOW, errors=(409,)
    ),
    "put_flow": Operation(
        "flows",
        "Replace a flow, or create it under that id",
        {200: f.FlowAnswer, 201: f.FlowAnswer},
        body=f.FlowBody,
        paths=_FLOW,
        errors=(409,),
    ),
    "delete_flow": Operation("flows", "Delete a flow; its messages stay", {200: Said}, errors=(422,), paths=_FLOW),
}

#: What a page about a flow shows of it.
SHOWING: Final[Mapping[str, Operation]] = {
    "draw_flow": Operation("flows", "Draw a flow", {200: Media({"image/svg+xml": TEXT})}, errors=(422, 500)),
    "describe_flow": Operation(
        "flows",
        "Say what is known of a flow before it runs",
        {200: {"type": "object"}},
        query=(Query("session_id", TEXT, "The session that a request would name."),),
        errors=(422,),
    ),
    "render_texts": Operation(
        "server",
        "Render Markdown to harmless HTML",
        {200: f.Rendered},
        body=f.Texts,
    ),
}
