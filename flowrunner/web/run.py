"""The run endpoint, and cancelling a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from flask import Request, Response
from marshmallow import Schema, fields

from flowrunner.authority import RUN, Capability, may
from flowrunner.engine.request import RunRequest
from flowrunner.engine.result import RunResult
from flowrunner.errors import BadRequest, Conflict, NotFound
from flowrunner.flows.model import Flow
from flowrunner.identity import Identity
from flowrunner.runner import Runner
from flowrunner.runs.once import Claim, KeyedAnswer
from flowrunner.web import schemas
from flowrunner.web.access import in_reach
from flowrunner.web.auth import IDENTITY, RUNNER, caller, this_request, this_runner
from flowrunner.web.blueprint import this_blueprint
from flowrunner.web.envelopes import old_envelope
from flowrunner.web.errors import error_response
from flowrunner.web.fields import Choice, Flag, Uuid
from flowrunner.web.json_io import PlainResponse, json_response
from flowrunner.web.once import KEY_FIELD, KEY_HEADER, accept_once, answer_once, read_key, run_and_wait
from flowrunner.web.route import Input, RouteGroup
from flowrunner.web.run_body import RunBody, files_of, read_run_body, read_run_request, wants_stream, with_files
from flowrunner.web.schemas import EVENTS, OF_RUNS, TEXT, Media, Open
from flowrunner.web.sse import resume_sse, stream_sse
from flowrunner.web.streams import RUN_HEADER, stream_lines

#: What runs a flow for somebody who waits for its answer, and stops it.
routes = RouteGroup("runs")


class VertexAnswer(Open):
    """The output of a reported component."""

    results = fields.Dict(required=True)
    artifacts = fields.Dict(required=True)
    outputs = fields.Dict(required=True)
    logs = fields.Dict(required=True)
    messages = fields.List(fields.Dict(), required=True)
    component_display_name = fields.String(required=True)
    component_id = fields.String(required=True)
    used_frozen_result = fields.Boolean(required=True)


class RunOutputs(Open):
    """Inputs and outputs of a run."""

    inputs = fields.Dict(required=True)
    outputs = fields.List(fields.Nested(VertexAnswer), required=True)


class RunAnswer(Open):
    """The answer of a run."""

    session_id = fields.String(required=True)
    session = fields.Nested(schemas.Session, required=True)
    outputs = fields.List(fields.Nested(RunOutputs), required=True)
    warnings = fields.List(fields.String(), metadata={"description": "Parts of the flow that were left out, and why."})


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


@routes.post(
    "/api/v1/run/<flow>",
    name="run",
    needs=RUN,
    query={
        "background": Flag("Accept the run and answer at once; the outcome is recorded in the run log."),
        "stream": StreamKind(
            "true: one line of JSON per event, as Langflow does; sse: server-sent events.", json={"type": "string"}
        ),
        "vertices": Flag("Include the events of each component; with stream=sse, for authors only."),
        "envelope": Choice("1.13", "1.0", help="Format of the answer; default: FLOWRUNNER_ENVELOPE."),
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
    request = this_request()
    # The one route that passes the request on by hand: it is asked for more often than all others together.
    environ = request.environ
    runner, identity = environ[RUNNER], environ[IDENTITY]
    body, streaming = read_run_body(runner, request), query["stream"]
    found = runner.find(flow, identity)
    if streaming == "sse" and request.headers.get("Last-Event-ID"):
        return resume_sse(runner, this_blueprint().spool, found, identity, request.headers["Last-Event-ID"])
    if streaming is None and wants_stream(body):
        streaming = "lines"
    asked = read_run_request(body, environ, streaming=streaming is not None)
    if ("files" in body or "input_request" in body) and (files := files_of(body)):
        asked = with_files(asked, files, found, runner.plugins.registry)
    asked = as_seen(asked, identity)
    if query["background"]:
        return _accept(runner, found, asked, identity)
    # Of what a flow is made is for its authors.
    vertices = bool(streaming == "sse" and query["vertices"] and may(identity, Capability.AUTHOR, change=False))
    envelope, as_text = query["envelope"] or runner.settings.envelope, wants_text(request)
    shape = "text" if as_text else envelope

    def answer(claim: Claim | None) -> Response:
        if streaming == "sse":
            return stream_sse(runner, this_blueprint().spool, found, asked, identity, vertices=vertices, claim=claim)
        if streaming is not None:
            return stream_lines(runner, found, asked, identity, claim)
        return run_and_wait(runner, found, asked, identity, lambda result: answer_run(result, shape), claim, environ)

    if KEY_HEADER in environ:
        key = read_key(runner, found, identity, asked, streaming, vertices, envelope, as_text)
        if key is not None:
            return answer_once(runner, key, answer, error_response)
    return answer(None)


def as_seen(asked: RunRequest, identity: Identity) -> RunRequest:
    """Restrict a request to what its caller may see.

    Values between components reveal how a flow is built, such as its author's prompts; only authors see them.
    """
    return asked if may(identity, Capability.AUTHOR, change=False) else replace(asked, outputs_only=True)


def _accept(runner: Runner, flow: Flow, asked: RunRequest, identity: Identity) -> Response:
    """Accept a background run; its result is stored in its record and in the conversation.

    :raises BadRequest: for a stream: nobody would read it.
    """
    if asked.streaming:
        raise BadRequest("Background runs cannot be streamed: omit stream, and read the events of the run later.")
    return start_once(
        runner,
        flow,
        asked,
        identity,
        "background",
        lambda run_id: {"message": "The run was accepted", "status": "queued", "run_id": run_id},
    )


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
def cancel_run(run_id: str) -> dict[str, str]:
    """Cancel a run on any worker; 409 if it has already ended.

    An admin names the owner whose run it is, as for every change.
    """
    runner, identity = this_runner(), caller()
    found = runner.runs.find(run_id, identity.id)
    if found is None or not in_reach(found.flow_id):
        raise NotFound("Run not found")
    if not runner.runs.stop(run_id, identity.id, "the user cancelled it"):
        raise Conflict("The run has ended already.")
    return {"message": "The run was asked to stop"}


def answer_run(result: RunResult, shape: str) -> Response:
    """Return the answer of a run.

    :param shape: ``text``, or the version of the envelope.
    """
    if shape == "text":
        answer: Response = PlainResponse(result.text, content_type="text/plain; charset=utf-8")
    else:
        answer = json_response(old_envelope(result) if shape == "1.0" else result.to_json())
    answer.headers.add(RUN_HEADER, result.run_id)
    return answer


def wants_text(request: Request) -> bool:
    """Return whether a request wants plain text instead of JSON."""
    # Most requests have no such wish: what they cannot hold is not parsed.
    return "text/plain" in request.environ.get("HTTP_ACCEPT", "") and request.accept_mimetypes.best == "text/plain"
