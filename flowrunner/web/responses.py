"""``POST /api/v1/responses``: a flow behind OpenAI's Responses API."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from typing import Any, Final

from flask import Response, request

from flowrunner.engine.request import RunRequest
from flowrunner.errors import BadRequest, FlowNotFound, FlowRunnerError, RequestInvalid
from flowrunner.flows.model import Flow
from flowrunner.runner import Runner
from flowrunner.web.auth import caller
from flowrunner.web.disconnect import Presence
from flowrunner.web.errors import logger, openai_error
from flowrunner.web.jsons import json_response, read_object
from flowrunner.web.reply_text import usage_of
from flowrunner.web.response_events import chunk_frames, openai_frames
from flowrunner.web.run import header_variables
from flowrunner.web.streams import RunStream

_TEXTS: Final = ("model", "input", "previous_response_id")


def create_response(runner: Runner) -> Response:
    """Answer a request. Failures have the status that OpenAI's clients expect, in OpenAI's shape."""
    body = read_object(request, limit=runner.settings.max_body, strict_type=runner.settings.auth == "none")
    try:
        return _respond(runner, body)
    except RequestInvalid as error:
        return json_response({**openai_error(error), "detail": error.detail}, error.status)
    except FlowRunnerError as error:
        if error.status >= 500:
            logger.error("%s: %s", error.code, error.message)
        return json_response(openai_error(error), error.status)


def _respond(runner: Runner, body: Mapping[str, Any]) -> Response:
    _check(body)
    name = body["model"]
    flow = _find(runner, name)
    if runner.plan(flow).chat_input is None:
        raise _NoChat("Flow must have a ChatInput component to be compatible with OpenAI Responses API")
    session = body.get("previous_response_id") or str(uuid.uuid4())
    streaming = body.get("stream") is True
    asked = RunRequest(input_value=body["input"], session_id=session, variables=header_variables(), streaming=streaming)
    head = response_head(session, name, body.get("previous_response_id"))
    if streaming:
        stream = RunStream(runner, flow, asked, caller(), gone=Presence(request.environ).is_over)
        frames = openai_frames(stream, head) if _is_openai_client() else chunk_frames(stream, head)
        response = Response(frames, content_type="text/event-stream; charset=utf-8")
        response.headers["Cache-Control"] = "no-cache"
        response.headers["X-Accel-Buffering"] = "no"
        return response
    result = runner.execute(flow, asked, caller())
    message = next((v.message for v in result.reported if v.message is not None), None)
    return json_response(completed(head, [message_item(session, result.text)], usage_of(message)))


def response_head(session: str, model: str, previous: str | None) -> dict[str, Any]:
    """Return a response without output, as it begins. Its id is the session, by which the next one continues."""
    return {
        "id": session,
        "object": "response",
        "created_at": int(time.time()),
        "status": "in_progress",
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": None,
        "model": model,
        "output": [],
        "parallel_tool_calls": True,
        "previous_response_id": previous,
        "reasoning": {"effort": None, "summary": None},
        "store": True,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": None,
        "user": None,
        "metadata": {},
    }


def message_item(session: str, text: str, number: int = 0) -> dict[str, Any]:
    """Return a text as an output item."""
    content = [{"type": "output_text", "text": text, "annotations": []}]
    name = f"msg_{session}" if number == 0 else f"msg_{session}_{number}"
    return {"type": "message", "id": name, "status": "completed", "role": "assistant", "content": content}


def completed(head: Mapping[str, Any], output: list[dict[str, Any]], usage: Any) -> dict[str, Any]:
    """Return a response at its end."""
    return {**head, "status": "completed", "output": output, "usage": usage}


class _NoChat(BadRequest):
    code = "invalid_flow_request"


def _check(body: Mapping[str, Any]) -> None:
    for name in _TEXTS:
        value = body.get(name)
        if name not in body and name != "previous_response_id":
            raise RequestInvalid(f"{name}: Field required", [_entry("missing", name, "Field required")])
        if not isinstance(value, str) and not (value is None and name == "previous_response_id"):
            message = "Input should be a valid string"
            raise RequestInvalid(f"{name}: {message}", [_entry("string_type", name, message)])
    if body.get("tools") is not None:
        raise BadRequest("Tools are not taken here: the flow brings its own.")


def _entry(kind: str, name: str, message: str) -> dict[str, Any]:
    return {"type": kind, "loc": ["body", name], "msg": message}


def _find(runner: Runner, name: str) -> Flow:
    try:
        found: Flow = runner.find(name, caller())
    except FlowNotFound:
        raise FlowNotFound(f"Flow with id '{name}' not found") from None
    return found


def _is_openai_client() -> bool:
    """Say whether the request comes from a client of OpenAI's, which wants its own events.

    Others get the chunks that the reference server sends, unless they ask for ``?events=openai``.
    """
    asked = request.args.get("events")
    if asked is not None:
        return asked == "openai"
    agent = request.headers.get("User-Agent", "")
    return "x-stainless-lang" in request.headers or "OpenAI/" in agent
