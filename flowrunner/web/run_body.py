"""Read the body of a run request, with its files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from flask import Request

from flowrunner.engine.request import INPUT_TYPES, OUTPUT_TYPES, RunRequest
from flowrunner.flows.model import Flow
from flowrunner.registry import Registry
from flowrunner.runner import Runner
from flowrunner.web.fields import Choice, Object, Text, Texts
from flowrunner.web.input import check_body, invalid
from flowrunner.web.json_io import parse_json_bytes, read_object, refuse_packed
from flowrunner.web.schemas import Body

#: The maximum number of files in a request.
MOST_FILES: Final = 100
VARIABLE_HEADER: Final = "HTTP_X_LANGFLOW_GLOBAL_VAR_"


class RunBody(Body):
    """The body of a run request; null means the default."""

    input_value = Text(allow_none=True, load_default=None)
    input_type = Choice(*INPUT_TYPES, allow_none=True, load_default="chat")
    output_type = Choice(*OUTPUT_TYPES, allow_none=True, load_default="chat")
    output_component = Text(allow_none=True, load_default="")
    tweaks = Object(allow_none=True, load_default=None)
    session_id = Text(allow_none=True, load_default="")
    user_id = Text(allow_none=True, load_default=None)
    files = Texts(allow_none=True, load_default=None, most=MOST_FILES)


_RUN_BODY: Final = RunBody()
#: What is not a text; of files the schema looks at each.
_TYPES: Final = {"tweaks": dict, "files": None}
_WORDS: Final = {"input_type": INPUT_TYPES, "output_type": OUTPUT_TYPES}


def read_run_body(runner: Runner, request: Request) -> Mapping[str, Any]:
    """Return the body of a run request: JSON, or if API keys are required, also a form.

    :raises FlowRunnerError: as in :func:`~flowrunner.web.json_io.read_object`.
    """
    kind = request.environ.get("CONTENT_TYPE", "")
    if kind.startswith("multipart/form-data") and runner.settings.auth != "none":
        return _read_multipart(request, runner.settings.max_body)
    return read_object(request, limit=runner.settings.max_body, strict_type=runner.settings.auth == "none")


def _read_multipart(request: Request, limit: int) -> dict[str, Any]:
    """Return the fields of a multipart body; ``tweaks`` is JSON text, ``files`` may occur several times."""
    refuse_packed(request)
    request.max_content_length = limit
    body: dict[str, Any] = {name: value for name, value in request.form.items() if name in _RUN_BODY.fields}
    if isinstance(body.get("tweaks"), str):
        body["tweaks"] = parse_json_bytes(body["tweaks"].encode()) if body["tweaks"] else None
    if "files" in body:
        body["files"] = [name for name in request.form.getlist("files") if name]
    return body


def header_variables(environ: Mapping[str, Any]) -> dict[str, str]:
    """Return the variables in the headers of a request. WSGI converts names to upper case with underscores."""
    return {name[len(VARIABLE_HEADER) :]: value for name, value in environ.items() if name.startswith(VARIABLE_HEADER)}


def _context_variables(context: Any) -> dict[str, str]:
    if context is None:
        return {}
    given = context.get("request_variables") if isinstance(context, dict) else None
    if given is None:
        given = {}
    if not isinstance(given, dict) or not all(isinstance(value, str) for value in given.values()):
        place = ("body", "context", "request_variables")
        raise invalid(place, "dict_type", "Input should be an object with string values")
    return {str(name).upper(): value for name, value in given.items()}


def read_run_request(
    body: Mapping[str, Any], environ: Mapping[str, Any], *, streaming: bool
) -> tuple[RunRequest, Sequence[str]]:
    """Return the validated run request in a body, and the names of its files.

    :param environ: the WSGI environ; headers may contain variables.
    :raises RequestInvalid: for a member of the wrong type, with its location.
    """
    variables = header_variables(environ)
    inner = body.get("input_request")
    if isinstance(inner, dict):
        variables = {**_context_variables(body.get("context")), **variables}
        body = inner
    given = _load_run_body(body)
    # Whom it names makes no difference.
    given.pop("user_id", None)
    files = given.pop("files", ())
    return RunRequest(**given, variables=variables, streaming=streaming), files


def _load_run_body(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members of a run body that are not null; for the others the request has defaults.

    Nearly all bodies have the right types and skip the schema, which would
    cost more than the bookkeeping of the run.
    """
    given: dict[str, Any] = {}
    for name in _RUN_BODY.fields:
        value = body.get(name)
        if value is None:
            continue
        if type(value) is not _TYPES.get(name, str) or (name in _WORDS and value not in _WORDS[name]):
            break
        given[name] = value
    else:
        return given
    return {name: value for name, value in check_body(_RUN_BODY, body).items() if value is not None}


def with_files(asked: RunRequest, names: Sequence[str], flow: Flow, registry: Registry) -> RunRequest:
    """Return a request whose files are passed to the flow's chat inputs, as tweaks.

    The component checks whether the files belong to the caller.

    :raises RequestInvalid: if the flow has no chat input, since the files would be silently ignored.
    """
    inputs = [vertex.id for vertex in flow.vertices if _takes_files(vertex.type, registry)]
    if not inputs:
        raise invalid(("body", "files"), "value_error", "This flow has no chat input that accepts files")
    tweaks = dict(asked.tweaks)
    for vertex_id in inputs:
        given = tweaks.get(vertex_id)
        tweaks[vertex_id] = {**(given if isinstance(given, dict) else {}), "files": list(names)}
    return replace(asked, tweaks=tweaks)


def _takes_files(kind: str, registry: Registry) -> bool:
    component = registry.component(kind)
    if component is None or component.input_kind != "chat":
        return False
    return any("files" in (one.name, *one.aliases) for one in component.inputs)


def wants_stream(body: Mapping[str, Any]) -> bool:
    """Return whether the body asks for a stream as ``langflow-sdk`` does.

    The reference server ignores ``"stream": true`` in a body, so a request that merely carries it
    gets its plain answer; the SDK, which has no other way to ask, always names both types with it.
    """
    return body.get("stream") is True and "input_type" in body and "output_type" in body
