"""The run endpoint, and cancelling a run."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any, Final

from flask import Response

from flowrunner.authority import RUN, Capability, may
from flowrunner.engine.request import RunRequest
from flowrunner.engine.result import RunResult
from flowrunner.errors import BadRequest, Conflict, NotFound
from flowrunner.identity import Identity
from flowrunner.runs.idempotency import Claim
from flowrunner.web import schemas
from flowrunner.web.access import in_reach
from flowrunner.web.auth import IDENTITY, RUNNER, caller, this_request, this_runner
from flowrunner.web.blueprint import this_blueprint
from flowrunner.web.call import RUN_HEADER, Call
from flowrunner.web.envelopes import old_envelope
from flowrunner.web.errors import error_response
from flowrunner.web.fields import Choice, Flag, Uuid
from flowrunner.web.idempotency import KEY_FIELD, accept_once, answer_once, run_and_wait
from flowrunner.web.json_io import PlainResponse, json_response
from flowrunner.web.langflow_events import line_text
from flowrunner.web.route import Input, RouteGroup
from flowrunner.web.run_body import RunBody, read_run_body, read_run_request, wants_stream, with_files
from flowrunner.web.schemas import EVENTS, OF_RUNS, TEXT, Media, Open, answer, member
from flowrunner.web.sse import resume_sse, stream_sse
from flowrunner.web.streams import answer_stream

#: The routes for running flows and cancelling runs.
routes = RouteGroup("runs")


#: The output of a reported component.
VertexAnswer: Final = answer(
    "VertexAnswer",
    Open,
    results=dict,
    artifacts=dict,
    outputs=dict,
    logs=dict,
    messages=[dict],
    component_display_name=str,
    component_id=str,
    used_frozen_result=bool,
)

#: Inputs and outputs of a run.
RunOutputs: Final = answer("RunOutputs", Open, inputs=dict, outputs=[VertexAnswer])
RunAnswer: Final = answer(
    "RunAnswer",
    Open,
    session_id=str,
    session=schemas.Session,
    outputs=[RunOutputs],
    warnings=member([str], "Parts of the flow that were left out, and why.", required=False),
)
#: A run was accepted; its record is at ``/api/v1/runs/{run_id}``.
Started: Final = answer("Started", message=str, status=str, run_id=str)


class StreamKind(Flag):
    """The kind of stream that a query requests: ``sse``, or ``lines`` for true."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **options: Any) -> Any:
        if value.lower() == "sse":
            return "sse"
        return "lines" if super()._deserialize(value, attr, data, **options) else None


@routes.post(
    "/api/v1/run/<flow>",
    name="run",
    needs=RUN,
    query={
        "background": Flag("Accept the run and answer immediately; the outcome is recorded in the run log."),
        "stream": StreamKind(
            "true: one line of JSON per event, as Langflow does; sse: server-sent events.", json={"type": "string"}
        ),
        "vertices": Flag("Include the events of each component; with stream=sse, for authors only."),
        "envelope": Choice("1.13", "1.0", help="Format of the answer; default: FLOWRUNNER_ENVELOPE."),
    },
    headers=KEY_FIELD,
    # Read by the view: this is by far the most frequent body, and mostly needs no schema.
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
    # The only route that passes the request on explicitly, since it is by far the most frequent one.
    environ = request.environ
    runner, identity = environ[RUNNER], environ[IDENTITY]
    body, streaming = read_run_body(runner, request), query["stream"]
    found = runner.find(flow, identity)
    if streaming == "sse" and environ.get("HTTP_LAST_EVENT_ID"):
        return resume_sse(this_blueprint().spool, found, environ["HTTP_LAST_EVENT_ID"])
    if streaming is None and wants_stream(body):
        streaming = "lines"
    asked, files = read_run_request(body, environ, streaming=streaming is not None)
    if files:
        asked = with_files(asked, files, found, runner.plugins.registry)
    call = Call(runner, found, as_seen(asked, identity), identity, environ, "run" if streaming is None else "stream")
    if query["background"]:
        if streaming is not None:
            raise BadRequest("Background runs cannot be streamed: omit stream, and read the events of the run later.")
        return accept_once(replace(call, kind="background"), "The run was accepted", "queued")
    # Only authors may see the graph of a flow.
    vertices = bool(streaming == "sse" and query["vertices"] and may(identity, Capability.AUTHOR, change=False))
    envelope, accepted = query["envelope"] or runner.settings.envelope, environ.get("HTTP_ACCEPT", "")
    # Most requests have no such header, so it is not parsed.
    as_text = "text/plain" in accepted and request.accept_mimetypes.best == "text/plain"
    shape = partial(answer_run, "text" if as_text else envelope)

    def answer(claim: Claim | None) -> Response:
        if streaming == "sse":
            return stream_sse(call, this_blueprint().spool, claim, vertices=vertices)
        if streaming is not None:
            return answer_stream(call, line_text, claim)
        return run_and_wait(call, shape, claim)

    return answer_once(call, answer, error_response, streaming, vertices, envelope, as_text)


def as_seen(asked: RunRequest, identity: Identity) -> RunRequest:
    """Restrict a request to what its caller may see.

    Values between components reveal how a flow is built, such as its author's prompts; only authors see them.
    """
    return asked if may(identity, Capability.AUTHOR, change=False) else replace(asked, outputs_only=True)


@routes.post(
    "/api/v1/runs/<run_id>/cancel", needs=RUN, path={"run_id": Uuid()}, answers={202: schemas.Said}, errors=(409,)
)
def cancel_run(run_id: str) -> dict[str, str]:
    """Cancel a run on any worker; 409 if it has already ended.

    An admin must name the owner of the run, as for every change.
    """
    runner, identity = this_runner(), caller()
    found = runner.runs.find(run_id, identity.id)
    if found is None or not in_reach(found.flow_id):
        raise NotFound("Run not found")
    if not runner.runs.stop(run_id, identity.id, "the user cancelled it"):
        raise Conflict("The run has ended already.")
    return {"message": "The run was asked to stop"}


def answer_run(shape: str, result: RunResult) -> Response:
    """Return the answer of a run.

    :param shape: ``text``, or the version of the envelope.
    """
    if shape == "text":
        answer: Response = PlainResponse(result.text, content_type="text/plain; charset=utf-8")
    else:
        answer = json_response(old_envelope(result) if shape == "1.0" else result.to_json())
    answer.headers.add(RUN_HEADER, result.run_id)
    return answer
