"""The webhook endpoint: a flow runs in the background with a body of any kind."""

from __future__ import annotations

import codecs

from flask import Response, request

from flowrunner.authority import RUN
from flowrunner.engine.request import RunRequest
from flowrunner.errors import BadRequest, FlowRunnerError, UnsupportedBody
from flowrunner.web.auth import caller, this_runner
from flowrunner.web.call import Call
from flowrunner.web.idempotency import KEY_FIELD, accept_once
from flowrunner.web.json_io import dumps, parse_json_bytes, read_bytes
from flowrunner.web.route import RouteGroup
from flowrunner.web.run import Started, as_seen
from flowrunner.web.run_body import header_variables
from flowrunner.web.schemas import TEXT, Media

routes = RouteGroup("runs")


@routes.post(
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

    The body is text in UTF-8, or in the charset of its content type. Without API keys, it must be JSON.
    """
    runner, identity = this_runner(), caller()
    found = runner.find(flow, identity)
    data = read_bytes(request, runner.settings.max_body)
    if not data.strip():
        raise BadRequest("Request body is empty. You should provide a JSON payload containing the flow ID.")
    if runner.settings.auth == "none" and not request.is_json:
        # As for all bodies without API keys: a page of another site could send any other type.
        kind = request.mimetype or "without a content type"
        raise UnsupportedBody(f"Without API keys, the content type must be application/json, not {kind}.")
    asked = RunRequest(
        input_value="",
        input_type="chat",
        payload=_payload_of(data),
        variables=header_variables(request.environ),
    )
    runner.plan(found)
    call = Call(runner, found, as_seen(asked, identity), identity, request.environ, "webhook")
    return accept_once(call, "Task started in the background", "in progress")


def _payload_of(data: bytes) -> str:
    """Return the body as JSON: unchanged, or as a text in the charset of the request (default: UTF-8).

    :raises BadRequest: if it is not valid in that charset.
    """
    charset = request.mimetype_params.get("charset", "utf-8").strip(" \"'")
    try:
        known = codecs.lookup(charset).name
        text = data.decode("utf-8-sig" if known == "utf-8" else charset)
        parse_json_bytes(text.encode())
    except (LookupError, ValueError):
        raise BadRequest(
            f"The body is not valid {charset[:40]}: send UTF-8, or declare the charset in the Content-Type header."
        ) from None
    except FlowRunnerError:
        return dumps({"payload": text})
    return text
