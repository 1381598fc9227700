"""Idempotency keys for runs that a site starts from its own code."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from flask import has_request_context
from flask import request as flask_request

from flowrunner.engine.request import RunRequest
from flowrunner.engine.result import RunResult, RunStart
from flowrunner.errors import FlowRunnerError
from flowrunner.flows.model import Flow
from flowrunner.identity import Identity
from flowrunner.memory.message import new_id, utc_now
from flowrunner.runner import Runner
from flowrunner.runs.idempotency import Claim, Key, make_key
from flowrunner.session import Session
from flowrunner.site.text_stream import TextStream
from flowrunner.text.digests import digest_of
from flowrunner.web.call import Call
from flowrunner.web.idempotency import KEY_HEADER
from flowrunner.web.json_io import dumps

#: The attribute in which a request of the site counts its runs.
_COUNT: Final = "flowrunner.runs_asked_for"


class ReplayedError(FlowRunnerError):
    """The error of the first run with a key, raised again for the same key."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        vars(self).update(status=status, code=code)


@dataclass(slots=True)
class ReplayedResult(RunResult):
    """The stored result of an earlier run with the same key: its answer, without its vertices.

    :param answer: the result of ``to_json``.
    :param said: the value of ``text``.
    """

    answer: Mapping[str, Any]
    said: str

    @property
    def text(self) -> str:
        """The text of the first message in the answer; empty if there is none."""
        return self.said

    def output(self, vertex_id: str) -> Mapping[str, Any] | None:
        """Return the outputs of a vertex as in the answer, or None if the answer does not show it."""
        shown = [o for part in self.answer["outputs"] for o in part["outputs"] if o["component_id"] == vertex_id]
        return {name: value["message"] for name, value in shown[0]["outputs"].items()} if shown else None

    def to_json(self) -> dict[str, Any]:
        """Return the answer of the run."""
        return dict(self.answer)


def site_key(
    runner: Runner, flow: Flow, asked: RunRequest, identity: Identity, given: str | None, kind: str
) -> Key | None:
    """Return the key of a run: the given one, or that of the current request; None if there is none.

    A request may start several runs, which are numbered. A key sent by a client of the site may have any length.

    :param given: the key; an empty text means none.
    :raises KeyInvalid: if the given key is not valid.
    """
    if not runner.settings.idempotency_seconds or given == "":
        return None
    content = [kind, asdict(asked)]
    if given is not None:
        return make_key(runner.runs.box, given, identity, flow.id, content, sight="site")
    word = flask_request.environ.get(KEY_HEADER) if has_request_context() else None
    if not word:
        return None
    number = flask_request.environ[_COUNT] = flask_request.environ.get(_COUNT, 0) + 1
    return make_key(runner.runs.box, digest_of(word), identity, flow.id, content, sight=f"site {number}")


def run_once(
    runner: Runner, key: Key, flow: Flow, identity: Identity, execute: Callable[[Claim], RunResult]
) -> RunResult:
    """Run a flow, or return the stored result of the first run with the key.

    :raises FlowRunnerError: the error of the run, then or now; or as in :meth:`~flowrunner.runs.idempotency.Once.take`.
    """
    claim = runner.runs.once.take(key, new_id())
    if isinstance(claim, str):
        return _result_of(runner, flow, identity, json.loads(claim))
    claim.shape = _as_text
    try:
        result = execute(claim)
    except FlowRunnerError as error:
        if claim.keeps(error):
            claim.keep(dumps({"error": [error.status, error.code, error.message]}))
        raise
    else:
        claim.keep(_as_text(result))
        return result
    finally:
        claim.free()


def stream_once(call: Call, key: Key) -> Iterator[str]:
    """Return an iterator over the parts of an answer, or the stored answer of the first run with the key.

    If the reader stops, the run continues for a while, as for all requests with a key.

    :raises FlowRunnerError: as in :func:`run_once`; a later failure is raised by the iterator.
    """
    claim = call.runner.runs.once.take(key, new_id())
    if isinstance(claim, str):
        return _pieces_of(json.loads(claim))
    try:
        return TextStream(call, claim).pieces()
    except FlowRunnerError:
        claim.free()
        raise


def _pieces_of(kept: Mapping[str, Any]) -> Iterator[str]:
    if kept["text"]:
        yield kept["text"]
    if kept["error"] is not None:
        raise ReplayedError(*kept["error"])


def _as_text(result: RunResult) -> str:
    return dumps(
        {"run_id": result.run_id, "text": result.text, "answer": result.to_json(), "duration": result.duration}
    )


def _result_of(runner: Runner, flow: Flow, identity: Identity, kept: Mapping[str, Any]) -> RunResult:
    if "error" in kept:
        raise ReplayedError(*kept["error"])
    answer, run_id = kept["answer"], kept["run_id"]
    session = Session(**answer["session"])
    inputs = answer["outputs"][0]["inputs"].get("input_value")
    start = RunStart(run_id, flow.id, flow.name, flow.content_hash, identity.id, utc_now(), inputs, session)
    messages = tuple(runner.memory_of(identity).fetch(run_id=run_id))
    return ReplayedResult(start, session, (), (), messages, kept["duration"], answer, kept["text"])
