"""The run endpoint, and cancelling a run."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from flask import Response, request
from marshmallow import Schema, fields

from flowrunner.authority import RUN, Capability, may
from flowrunner.engine.request import INPUT_TYPES, OUTPUT_TYPES, RunRequest
from flowrunner.engine.result import RunResult
from flowrunner.errors import BadRequest, Conflict, FlowRunnerError, NotFound, UnsupportedBody
from flowrunner.flows.model import Flow
from flowrunner.identity import Identity
from flowrunner.runner import Runner
from flowrunner.runs.once import Claim, KeyedAnswer
from flowrunner.web import schemas
from flowrunner.web.answers import old_envelope
from flowrunner.web.auth import caller, this_runner
from flowrunner.web.blueprint import this_blueprint
from flowrunner.web.disconnect import Presence
from flowrunner.web.errors import error_response
from flowrunner.web.fields import Choice, Flag, Object, Text, Uuid
from flowrunner.web.input import check_body, invalid
from flowrunner.web.jsons import dumps, json_response, parse_json_bytes, read_bytes, read_object, refuse_packed
from flowrunner.web.once import KEY_FIELD, KEY_HEADER, accept_once, answer_once, read_key, shaping, stays
from flowrunner.web.reach import flows_in_reach
from flowrunner.web.route import Input, Media, RouteGroup
from flowrunner.web.schemas import EVENTS, OF_RUNS, TEXT, Body, Open
from flowrunner.web.sse import resume_sse, stream_sse
from flowrunner.web.streams import RUN_HEADER, stream_lines

VARIABLE_HEADER: Final = "HTTP_X_LANGFLOW_GLOBAL_VAR_"


#: What runs a flow for somebody who waits for its answer, and stops it.
routes = RouteGroup("runs")
#: What starts a flow for a machine that does not wait.
webhook_routes = RouteGroup("runs")


class RunBody(Body):
    """The body of a run request; null means the default."""

    input_value = Text(allow_none=True, load_default=None)
    input_type = Choice(*INPUT_TYPES, allow_none=True, load_default="chat")
    output_type = Choice(*OUTPUT_TYPES, allow_none=True, load_default="chat")
    output_component = Text(allow_none=True, load_default="")
    tweaks = Object(allow_none=True, load_default=None)
    session_id = Text(allow_none=True, load_default="")
    user_id = Text(allow_none=True, load_default=None)


class VertexAnswer(Open):
    """What a reported component gave."""

    results = fields.Dict(required=True)
    artifacts = fields.Dict(required=True)
    outputs = fields.Dict(required=True)
    logs = fields.Dict(required=True)
    messages = fields.List(fields.Dict(), required=True)
    component_display_name = fields.String(required=True)
    component_id = fields.String(required=True)
    used_frozen_result = fields.Boolean(required=True)


class RunOutputs(Open):
    """What went in and what came out."""

    inputs = fields.Dict(required=True)
    outputs = fields.List(fields.Nested(VertexAnswer), required=True)


class RunAnswer(Open):
    """The answer of a run."""

    session_id = fields.String(required=True)
    session = fields.Nested(schemas.Session, required=True)
    outputs = fields.List(fields.Nested(RunOutputs), required=True)
    warnings = fields.List(fields.String(), metadata={"description": "What of the flow was left out, and why."})


class Started(Schema):
    """A run was accepted; its record is at ``/api/v1/runs/{run_id}``."""

    message = fields.String(required=True)
    status = fields.String(required=True)
    run_id = fields.String(required=True)


class StreamKind(Flag):
    """Which stream a query asks for: ``sse``, or ``lines`` for a truth value."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **options: Any) -> Any:
        if value.lower() == "sse":
            return "sse"
        return "lines" if super()._deserialize(value, attr, data, **options) else None


_RUN_BODY: Final = RunBody()
_DEFAULTS: Final = {name: field.load_default for name, field in _RUN_BODY.fields.items()}
_WORDS: Final = {"input_type": INPUT_TYPES, "output_type": OUTPUT_TYPES}


@routes.post(
    "/api/v1/run/<flow>",
    name="run",
    needs=RUN,
    query={
        "background": Flag("Accept the run and answer at once; the outcome is recorded in the run log."),
        "stream": StreamKind(
            "true: a line per event, as the reference server; sse: standard SSE.", json={"type": "string"}
        ),
        "vertices": Flag("With stream=sse: include events of each component."),
        "envelope": Choice("1.13", "1.0", help="Shape of the answer; default: FLOWRUNNER_ENVELOPE."),
    },
    headers=KEY_FIELD,
    # Read by the view: this body is read more often than all others together, and mostly needs no schema.
    body=Media({"application/json": RunBody, "multipart/form-data": {"type": "object"}}),
    body_required=False,
    answers={
        200: Media({"application/json": RunAnswer, "text/plain": TEXT, "text/event-stream": EVENTS}),
        202: Started,
    },
    errors=(*OF_RUNS, 410),
)
def run_flow(flow: str, query: Input) -> Response:
    """Run a flow."""
    runner, identity = this_runner(), caller()
    body, streaming = _read_run_body(runner), query["stream"]
    found = runner.find(flow, identity)
    if streaming == "sse" and request.headers.get("Last-Event-ID"):
        return resume_sse(runner, this_blueprint().spool, found, identity, request.headers["Last-Event-ID"])
    if streaming is None and _body_wants_stream(body):
        streaming = "lines"
    asked = read_run_request(body, streaming=streaming is not None)
    asked = _as_seen(asked, identity)
    if query["background"]:
        return _accept(runner, found, asked, identity)
    vertices = bool(streaming == "sse" and query["vertices"])
    envelope = query["envelope"] or runner.settings.envelope

    def answer(claim: Claim | None) -> Response:
        if streaming == "sse":
            return stream_sse(runner, this_blueprint().spool, found, asked, identity, vertices=vertices, claim=claim)
        if streaming is not None:
            return stream_lines(runner, found, asked, identity, claim)
        return _answer_plainly(runner, found, asked, identity, envelope, claim)

    if KEY_HEADER in request.environ:
        key = read_key(runner, found, identity, asked, streaming, vertices, envelope, wants_text())
        if key is not None:
            return answer_once(runner, key, answer, error_response)
    return answer(None)


def _as_seen(asked: RunRequest, identity: Identity) -> RunRequest:
    """Return a request as its caller may ask it.

    What passes through components tells what they are made of, such as the prompts of their author.
    """
    return asked if may(identity, Capability.AUTHOR, change=False) else replace(asked, outputs_only=True)


def _answer_plainly(
    runner: Runner, flow: Flow, asked: RunRequest, identity: Identity, envelope: str, claim: Claim | None
) -> Response:
    leaves = runner.settings.cancel_when_left
    if claim is None:
        gone = Presence(request.environ).is_over if leaves else None
        return answer_run(runner.execute(flow, asked, identity, gone=gone), envelope)
    claim.shape = shaping(lambda result: answer_run(result, envelope))
    result = runner.execute(
        flow, asked, identity, gone=stays(claim) if leaves else None,
        emit=claim.watching(None, again=flow.idempotent), run_id=claim.run_id,
        parcel=claim,
    )  # fmt: skip
    return answer_run(result, envelope)


def _accept(runner: Runner, flow: Flow, asked: RunRequest, identity: Identity) -> Response:
    """Accept a run that nobody waits for; what it says stands in its record and in the conversation.

    :raises BadRequest: for a stream, which somebody would have to read.
    """
    if asked.streaming:
        raise BadRequest("A background run is not streamed: leave out stream, and read its events later.")
    return start_once(
        runner, flow, asked, identity, "background",
        lambda run_id: {"message": "The run is accepted", "status": "queued", "run_id": run_id},
    )  # fmt: skip


def start_once(
    runner: Runner, flow: Flow, asked: RunRequest, identity: Identity, kind: str, said: Callable[[str], dict[str, Any]]
) -> Response:
    """Accept a run in the background and answer 202, once for each key.

    :param said: returns the body of the answer from the id of the run.
    """

    def accept(run_id: str, keyed: KeyedAnswer | None) -> None:
        runner.start(flow, asked, identity, kind=kind, run_id=run_id, keyed=keyed)

    def answer(run_id: str) -> Response:
        response = json_response(said(run_id), 202)
        response.headers.add(RUN_HEADER, run_id)
        return response

    return accept_once(runner, read_key(runner, flow, identity, asked, kind), accept, answer)


@routes.post(
    "/api/v1/runs/<run_id>/cancel", needs=RUN, path={"run_id": Uuid()}, answers={202: schemas.Said}, errors=(409,)
)
def cancel_run(run_id: str) -> Response:
    """Stop a run, whichever worker it is in or waits in; 409 when it has ended.

    An admin names the owner whose run it is, as for every change.
    """
    runner, identity = this_runner(), caller()
    found = runner.runs.find(run_id, identity.id)
    flows = flows_in_reach(runner, identity)
    if found is None or (flows is not None and found.flow_id not in flows):
        raise NotFound("Run not found")
    if not runner.runs.stop(run_id, identity.id, "its user stopped it"):
        raise Conflict("The run has ended already.")
    return json_response({"message": "The run is asked to stop"}, 202)


def _body_wants_stream(body: Mapping[str, Any]) -> bool:
    """Say whether the body asks for a stream in the way of ``langflow-sdk``.

    The reference server ignores ``"stream": true`` in a body, so a request that merely carries it
    gets its plain answer; the SDK, which has no other way to ask, always names both types with it.
    """
    return body.get("stream") is True and "input_type" in body and "output_type" in body


def answer_run(result: RunResult, envelope: str) -> Response:
    """Return the answer of a run in the shape that the request asks for."""
    if wants_text():
        answer = Response(result.text, content_type="text/plain; charset=utf-8")
    else:
        answer = json_response(old_envelope(result) if envelope == "1.0" else result.to_json())
    answer.headers.add(RUN_HEADER, result.run_id)
    return answer


def wants_text() -> bool:
    """Say whether the request wants the text of the answer alone."""
    # Most requests have no such wish: what they cannot hold is not parsed.
    return "text/plain" in request.environ.get("HTTP_ACCEPT", "") and request.accept_mimetypes.best == "text/plain"


def read_run_request(body: Mapping[str, Any], *, streaming: bool) -> RunRequest:
    """Return the run request of a body, checked.

    :raises RequestInvalid: for a member of the wrong type, with its place.
    """
    variables = header_variables()
    inner = body.get("input_request")
    if isinstance(inner, dict):
        variables = {**_context_variables(body.get("context")), **variables}
        body = inner
    loaded = _load_run_body(body)
    return RunRequest(
        input_value=loaded["input_value"],
        input_type=loaded["input_type"] or "chat",
        output_type=loaded["output_type"] or "chat",
        output_component=loaded["output_component"] or "",
        tweaks=loaded["tweaks"] or {},
        session_id=loaded["session_id"] or "",
        variables=variables,
        streaming=streaming,
    )


def _load_run_body(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the members of a run body with their defaults.

    A body of plain right types, which nearly all are, is not taken through the schema: that would
    cost more than the run's own bookkeeping.
    """
    given: dict[str, Any] = {}
    for name, default in _DEFAULTS.items():
        value = body.get(name)
        if value is not None and type(value) is not (dict if name == "tweaks" else str):
            break
        if name in _WORDS and value is not None and value not in _WORDS[name]:
            break
        given[name] = default if value is None else value
    else:
        return given
    loaded: Mapping[str, Any] = check_body(_RUN_BODY, body)
    return loaded


@webhook_routes.post(
    "/api/v1/webhook/<flow>",
    name="webhook",
    needs=RUN,
    headers=KEY_FIELD,
    body=Media({"application/json": {}, "text/plain": TEXT}),
    answers={202: Started},
    errors=(409, 410),
)
def run_webhook(flow: str) -> Response:
    """Run a flow in the background with a body of any kind.

    The body is text in UTF-8, or in the charset that its content type names; where no key is asked, JSON alone.
    """
    runner = this_runner()
    found = runner.find(flow, caller())
    data = read_bytes(request, runner.settings.max_body)
    if not data.strip():
        raise BadRequest("Request body is empty. You should provide a JSON payload containing the flow ID.")
    if runner.settings.auth == "none" and not request.is_json:
        # As for every body where no key is asked: a page of another site can send any other type.
        kind = request.mimetype or "without a content type"
        raise UnsupportedBody(f"Where no key is asked, the body must be application/json, not {kind}.")
    asked = RunRequest(
        input_value="", input_type="chat", payload=_webhook_payload(_webhook_text(data)), variables=header_variables()
    )
    asked = _as_seen(asked, caller())
    runner.plan(found)
    return start_once(
        runner, found, asked, caller(), "webhook",
        lambda run_id: {"message": "Task started in the background", "status": "in progress", "run_id": run_id},
    )  # fmt: skip


def _webhook_text(data: bytes) -> str:
    """Return the body of a call as text, in the charset that its sender names, else UTF-8.

    :raises BadRequest: if it is not in that charset.
    """
    charset = request.mimetype_params.get("charset", "utf-8").strip(" \"'")
    try:
        known = codecs.lookup(charset).name
        text = data.decode("utf-8-sig" if known == "utf-8" else charset)
        text.encode()
    except (LookupError, ValueError):
        raise BadRequest(
            f"The body is not text in {charset[:40]}: send UTF-8, or name its charset in the Content-Type."
        ) from None
    return text


def _webhook_payload(text: str) -> str:
    try:
        parse_json_bytes(text.encode())
    except FlowRunnerError:
        return dumps({"payload": text})
    return text


def _read_run_body(runner: Runner) -> Mapping[str, Any]:
    kind = request.environ.get("CONTENT_TYPE", "")
    if kind.startswith("multipart/form-data") and runner.settings.auth != "none":
        return _read_multipart(runner.settings.max_body)
    return read_object(request, limit=runner.settings.max_body, strict_type=runner.settings.auth == "none")


def _read_multipart(limit: int) -> dict[str, Any]:
    """Return the named fields of a multipart body; ``tweaks`` is JSON text."""
    refuse_packed(request)
    request.max_content_length = limit
    body: dict[str, Any] = {name: value for name, value in request.form.items() if name in _RUN_BODY.fields}
    if isinstance(body.get("tweaks"), str):
        body["tweaks"] = parse_json_bytes(body["tweaks"].encode()) if body["tweaks"] else None
    return body


def header_variables() -> dict[str, str]:
    """Return the variables that the request's headers bring. WSGI gives names in capitals, with underscores."""
    return {
        name[len(VARIABLE_HEADER) :]: value
        for name, value in request.environ.items()
        if name.startswith(VARIABLE_HEADER)
    }


def _context_variables(context: Any) -> dict[str, str]:
    if context is None:
        return {}
    given = context.get("request_variables") if isinstance(context, dict) else None
    if given is None:
        given = {}
    if not isinstance(given, dict) or not all(isinstance(value, str) for value in given.values()):
        raise invalid(("body", "context", "request_variables"), "dict_type", "Input should be an object of texts")
    return {str(name).upper(): value for name, value in given.items()}
