"""``Idempotency-Key``: requests with the same key are run once and get the same answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Final

from flask import Response

from flowrunner.engine.result import RunResult
from flowrunner.errors import FlowRunnerError, KeyInFlight
from flowrunner.memory.message import new_id
from flowrunner.runs.idempotency import Claim, Key, KeyedAnswer, KeyTaken, make_key
from flowrunner.web.call import RUN_HEADER, Call
from flowrunner.web.disconnect import Presence
from flowrunner.web.fields import Text
from flowrunner.web.json_io import dumps, json_response
from flowrunner.web.stored_answer import as_text, replay

#: The description of the header in the OpenAPI document.
KEY_FIELD: Final = {
    "Idempotency-Key": Text("Requests with the same key, 1 to 255 characters, run once and get the same answer.")
}
#: The header, as WSGI names it.
KEY_HEADER: Final = "HTTP_IDEMPOTENCY_KEY"
_UNEXPECTED: Final = dumps({"detail": "Internal Server Error", "code": "internal_error"})


def _read_key(call: Call, *facts: Any, session: str | None = None) -> Key | None:
    """Return the key of a request; None if it has none, or keys are disabled.

    Requests are compared by content: the same JSON in another order is the same request.

    :raises KeyInvalid: if the key is not valid.
    """
    word = call.environ.get(KEY_HEADER)
    if word is None or not call.runner.settings.idempotency_seconds:
        return None
    content = asdict(call.asked)
    if session is not None:
        content["session_id"] = session
    sight = "outputs" if call.asked.outputs_only else ""
    request = [call.environ["REQUEST_METHOD"], content, *facts]
    return make_key(call.runner.runs.box, word, call.identity, call.flow.id, request, sight=sight)


def answer_once(
    call: Call,
    answer: Callable[[Claim | None], Response],
    failed: Callable[[FlowRunnerError], Response],
    *facts: Any,
    session: str | None = None,
) -> Response:
    """Answer a request by running its flow, or where it carries a key with the answer that it got before.

    :param answer: runs the flow. The claim that it is given where there is a key has the run's id and looks at its
        events. An answer that is not a stream is kept when it returns.
    :param failed: returns the answer to an error.
    :param facts: what else decides the answer, such as its shape.
    :param session: the session that the client named, where that of the call was made up for it.
    :raises FlowRunnerError: what kept the run from beginning, after which the key is free again; else as
        :meth:`~flowrunner.runs.idempotency.Once.take`.
    """
    key = _read_key(call, *facts, session=session) if KEY_HEADER in call.environ else None
    if key is None:
        return answer(None)
    claim = call.runner.runs.once.take(key, new_id())
    if isinstance(claim, str):
        return replay(claim)
    try:
        response = answer(claim)
        if not response.is_streamed:
            claim.keep(as_text(response))
        return response
    except FlowRunnerError as error:
        if not claim.keeps(error):
            claim.free()
            raise
        response = failed(error)
        claim.keep(as_text(response))
        return response
    except Exception:
        if claim.begun:
            claim.keep(dumps([500, [["Content-Type", "application/json"]], _UNEXPECTED]))
        raise
    finally:
        if not claim.begun:
            claim.free()


def accept_once(call: Call, message: str, status: str) -> Response:
    """Accept a run in the background and answer 202, once for each key.

    :param message: what the answer says.
    :param status: how it calls the state of the run.
    """
    once, run_id = call.runner.runs.once, new_id()
    response = json_response({"message": message, "status": status, "run_id": run_id}, 202)
    response.headers.add(RUN_HEADER, run_id)
    key = _read_key(call, call.kind)
    found = None if key is None else once.find(key)
    if found is None:
        keyed = None if key is None else KeyedAnswer(key, as_text(response))
        try:
            call.runner.start(call.flow, call.asked, call.identity, kind=call.kind, run_id=run_id, keyed=keyed)
            return response
        except KeyTaken:
            found = None if key is None else once.find(key)
    if found is None:
        raise KeyInFlight()
    return replay(found)


def run_and_wait(call: Call, shape: Callable[[RunResult], Response], claim: Claim | None) -> Response:
    """Run a flow for a client that waits for the whole answer; cancel it if the client disconnects.

    A client with a key is expected to come back once its run has started.

    :param shape: returns the answer for a result.
    """
    runner, flow, asked = call.runner, call.flow, call.asked
    gone = Presence(call.environ).is_over if runner.settings.cancel_when_left else None
    if claim is None:
        return shape(runner.execute(flow, asked, call.identity, gone=gone, kind=call.kind))
    claim.shape = lambda result: as_text(shape(result))
    result = runner.execute(
        flow,
        asked,
        call.identity,
        gone=None if gone is None else lambda: not claim.begun and gone(),
        emit=claim.watching(None, again=flow.idempotent),
        run_id=claim.run_id,
        kind=call.kind,
        parcel=claim,
    )
    return shape(result)
