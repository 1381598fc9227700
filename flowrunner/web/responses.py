"""``POST /api/v1/responses``: a flow behind OpenAI's Responses API."""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final

from flask import Response, request

from flowrunner.authority import RUN
from flowrunner.engine.request import RunRequest
from flowrunner.engine.result import RunResult
from flowrunner.errors import BadRequest, FlowNotFound, FlowRunnerError, TooBusy, TooMany
from flowrunner.flows.model import Flow
from flowrunner.runner import Runner
from flowrunner.runs.idempotency import Claim
from flowrunner.store.files import StoredFile
from flowrunner.web.auth import caller, this_runner
from flowrunner.web.call import RUN_HEADER, Call
from flowrunner.web.errors import error_response, openai_error
from flowrunner.web.fields import Anything, Choice, Text
from flowrunner.web.idempotency import KEY_FIELD, answer_once, run_and_wait
from flowrunner.web.json_io import json_response
from flowrunner.web.response_events import Chunks, OpenAiEvents, text_item, usage_of
from flowrunner.web.response_input import drop_kept, keep_history, keep_pictures, newest_in, read_input
from flowrunner.web.route import Input, RouteGroup
from flowrunner.web.run import as_seen
from flowrunner.web.run_body import header_variables
from flowrunner.web.schemas import EVENTS, Body, Media, Open, answer, member
from flowrunner.web.streams import answer_stream

routes = RouteGroup("runs")


class ResponsesBody(Body):
    """A request in the format of OpenAI's Responses API; unknown members are ignored."""

    model = Text("Id or endpoint name of a flow.", required=True)
    input = Anything(
        "A text, or the items of a conversation, whose last user message is the input of the flow.",
        json={"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "object"}}]},
        required=True,
    )
    stream = Anything(json={"type": "boolean"}, allow_none=True)
    previous_response_id = Text(allow_none=True)
    tools = Anything("Not supported: a flow has its own tools.", allow_none=True)


#: A response.
ResponsesAnswer: Final = answer(
    "ResponsesAnswer",
    Open,
    id=str,
    object=str,
    created_at=int,
    status=str,
    model=str,
    output=[dict],
    previous_response_id=str | None,
    usage=dict | None,
)
_maybe = partial(member, required=False)
#: A failure, in OpenAI's shape or as everywhere else.
ResponsesError: Final = answer("ResponsesError", Open, error=_maybe(dict), detail=_maybe(Any), code=_maybe(str))


@routes.post(
    "/api/v1/responses",
    name="responses",
    needs=RUN,
    query={"events": Choice("openai", "chunks", help="The format of streamed events.")},
    headers=KEY_FIELD,
    body=ResponsesBody,
    answers={
        200: Media({"application/json": ResponsesAnswer, "text/event-stream": EVENTS}),
        **dict.fromkeys((400, 403, 404, 409, 410, 422, 429, 499, 500, 503, 504), ResponsesError),
    },
)
def create_response(body: Input, query: Input) -> Response:
    """Run a flow as OpenAI's Responses API does."""
    try:
        return _respond(this_runner(), body, query["events"])
    except FlowRunnerError as error:
        return _failed(error)


def _failed(error: FlowRunnerError) -> Response:
    return error_response(error, openai_error(error))


def _respond(runner: Runner, body: Input, events: str | None) -> Response:
    if body.get("tools") is not None:
        raise BadRequest("The parameter tools is not supported: a flow has its own tools.")
    name, previous, environ = body["model"], body.get("previous_response_id"), request.environ
    flow = _find(runner, name)
    plan = runner.plan(flow)
    chat_input = plan.chat_input
    if chat_input is None:
        raise _NoChat("Flow must have a ChatInput component to be compatible with OpenAI Responses API")
    session = previous or str(uuid.uuid4())
    streaming = body.get("stream") is True
    given = read_input(body["input"])
    asked = RunRequest(
        input_value=given.text, session_id=session, variables=header_variables(environ), streaming=streaming
    )
    call = Call(runner, flow, as_seen(asked, caller()), caller(), environ, "response")
    # The history counts towards the size of the request.
    runner.admit(replace(call.asked, payload="".join(text for _, text in given.before)), caller())
    # The conversation of an earlier response is stored here already.
    before = () if previous else given.before
    head = response_head(session, name, previous)
    openai = streaming and _wants_openai_events(events)

    def run(call: Call, claim: Claim | None) -> Response:
        if streaming:
            return answer_stream(call, (OpenAiEvents(head) if openai else Chunks(head)).tell, claim)
        return run_and_wait(call, partial(_shape, head), claim)

    def answer(claim: Claim | None) -> Response:
        if not before and not given.pictures:
            return run(call, claim)
        pictures: list[StoredFile] = []
        keep_history(runner, flow, session, before)
        newest = newest_in(runner, session)
        try:
            # Recorded one by one, since the next one may exceed a limit.
            for picture in keep_pictures(runner, flow, given.pictures):
                pictures.append(picture)
            if not given.pictures:
                return run(call, claim)
            files = {plan.vertices[chat_input].vertex.id: {"files": [one.path for one in pictures]}}
            return run(replace(call, asked=replace(call.asked, tweaks=files)), claim)
        except (TooMany, TooBusy):
            # The run has not started: refused requests must not fill the disk.
            drop_kept(runner, session, newest, pictures, turns=bool(before))
            raise

    # The call does not contain them yet: turns and pictures are stored when it is executed.
    brought = (before, [(kind, hashlib.sha256(picture).hexdigest()) for kind, picture in given.pictures])
    made_up = "" if previous is None else None
    return answer_once(call, answer, _failed, openai, "response", *brought, session=made_up)


def _shape(head: Mapping[str, Any], result: RunResult) -> Response:
    """Return the answer of a result."""
    output = [text_item(f"msg_{head['id']}", result.text)]
    shown = {**head, "status": "completed", "output": output, "usage": usage_of(result)}
    answer = json_response({**shown, "warnings": list(result.warnings)} if result.warnings else shown)
    answer.headers.add(RUN_HEADER, result.run_id)
    return answer


def response_head(session: str, model: str, previous: str | None) -> dict[str, Any]:
    """Return the initial response, without output. Its id is the session id, with which the next one continues."""
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


class _NoChat(BadRequest):
    code = "invalid_flow_request"


def _find(runner: Runner, name: str) -> Flow:
    try:
        found: Flow = runner.find(name, caller())
    except FlowNotFound:
        raise FlowNotFound(f"Flow with id '{name}' not found") from None
    return found


def _wants_openai_events(events: str | None) -> bool:
    """Return whether to stream OpenAI's events: if the query requests them, or by default for OpenAI's own clients.

    Other clients get chunks, as from the reference server.
    """
    if events is not None:
        return events == "openai"
    agent = request.headers.get("User-Agent", "")
    return "x-stainless-lang" in request.headers or "OpenAI/" in agent
