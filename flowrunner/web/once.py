"""``Idempotency-Key``: requests with the same key are run once and get the same answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, Final

from flask import Response, request

from flowrunner.engine.request import RunRequest
from flowrunner.engine.result import RunResult
from flowrunner.errors import FlowRunnerError, KeyInFlight
from flowrunner.flows.model import Flow
from flowrunner.identity import Identity
from flowrunner.memory.message import new_id
from flowrunner.runner import Runner
from flowrunner.runs.once import Claim, Key, KeyedAnswer, KeyTaken, make_key
from flowrunner.web.disconnect import Presence
from flowrunner.web.fields import Text
from flowrunner.web.json_io import dumps
from flowrunner.web.kept_stream import head_of

#: What the description of the API says of the header.
KEY_FIELD: Final = {
    "Idempotency-Key": Text("Requests with the same key, 1 to 255 characters, run once and get the same answer.")
}
#: The header, as WSGI names it.
KEY_HEADER: Final = "HTTP_IDEMPOTENCY_KEY"
#: Says that an answer is the one that an earlier request with the same key got.
REPLAYED: Final = "Idempotent-Replayed"

Answering = Callable[[Claim], Response]


def read_key(
    runner: Runner, flow: Flow, identity: Identity, asked: RunRequest, *facts: Any, session: str | None = None
) -> Key | None:
    """Return the key that the present request carries; None if it carries none, or the settings ask for none.

    The request is what is asked of the flow, not how that is written: JSON in another order is the same.

    :param facts: what else decides the answer, such as its shape.
    :param session: the session that the client named, where that of ``asked`` was made up for it.
    :raises KeyInvalid: for a word that can be no key.
    """
    word = request.environ.get(KEY_HEADER)
    if word is None or not runner.settings.idempotency_seconds:
        return None
    content = asdict(asked)
    if session is not None:
        content["session_id"] = session
    sight = "outputs" if asked.outputs_only else ""
    return make_key(runner.runs.box, word, identity, flow.id, [request.method, content, *facts], sight=sight)


def answer_once(runner: Runner, key: Key, answer: Answering, failed: Callable[[FlowRunnerError], Response]) -> Response:
    """Answer a request that carries a key: by running it, or with the answer that it got before.

    :param answer: runs it. The claim that it is given has the run's id and looks at its events. An answer that is not
        a stream is kept when it returns.
    :param failed: returns the answer to an error.
    :raises FlowRunnerError: what kept the run from beginning, after which the key is free again; else as
        :meth:`~flowrunner.runs.once.Once.take`.
    """
    claim = runner.runs.once.take(key, new_id())
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


_UNEXPECTED: Final = dumps({"detail": "Internal Server Error", "code": "internal_error"})


def accept_once(
    runner: Runner, key: Key | None, accept: Callable[[str, KeyedAnswer | None], Any], answer: Callable[[str], Response]
) -> Response:
    """Accept a run in the background, once for each key.

    :param accept: takes the id of the run, and its key with the answer.
    :param answer: returns the answer to the request from the id of its run.
    """
    run_id = new_id()
    response = answer(run_id)
    if key is None:
        accept(run_id, None)
        return response
    found = runner.runs.once.find(key)
    if found is None:
        try:
            accept(run_id, KeyedAnswer(key, as_text(response)))
            return response
        except KeyTaken:
            found = runner.runs.once.find(key)
    if found is None:
        raise KeyInFlight()
    return replay(found)


def run_and_wait(
    runner: Runner,
    flow: Flow,
    asked: RunRequest,
    identity: Identity,
    shape: Callable[[RunResult], Response],
    claim: Claim | None,
    environ: Mapping[str, Any],
    *,
    kind: str = "run",
) -> Response:
    """Run a flow for a client that waits for the whole answer; one that leaves ends the run, if the settings say so.

    A client with a key has not left for good once its run has begun, since it comes back.

    :param shape: returns the answer of a result.
    """
    gone = Presence(environ).is_over if runner.settings.cancel_when_left else None
    if claim is None:
        return shape(runner.execute(flow, asked, identity, gone=gone, kind=kind))
    claim.shape = lambda result: as_text(shape(result))
    result = runner.execute(
        flow,
        asked,
        identity,
        gone=None if gone is None else lambda: not claim.begun and gone(),
        emit=claim.watching(None, again=flow.idempotent),
        run_id=claim.run_id,
        kind=kind,
        parcel=claim,
    )
    return shape(result)


def as_text(response: Response) -> str:
    """Return an answer as it is kept: status, headers and body."""
    return dumps([*head_of(response), response.get_data(as_text=True)])


def replay(text: str) -> Response:
    """Return an answer that was kept."""
    status, headers, body = json.loads(text)
    response = Response(body, status=status, headers=[(name, value) for name, value in headers])
    response.headers[REPLAYED] = "true"
    return response
