"""Error handlers of the blueprint: errors become JSON answers."""

from __future__ import annotations

import logging
from typing import Any, Final

from flask import Blueprint, Response, current_app, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge, default_exceptions

from flowrunner.errors import (
    BodyTooLarge,
    FlowRunnerError,
    NotReady,
    PluginFailed,
    RunLost,
    SettingsInvalid,
)
from flowrunner.runs.failures import OF_STORES, was_told
from flowrunner.store.outage import as_store_failed
from flowrunner.web.auth import RUNNER
from flowrunner.web.json_io import json_response

logger = logging.getLogger("flowrunner")


def error_body(error: FlowRunnerError) -> dict[str, Any]:
    """Return the body of an error: the reference server's ``detail`` and our stable ``code``.

    On ``/api/v1/responses`` it also has the error object that OpenAI's clients read.
    """
    body = {"detail": error.detail, "code": error.code}
    return {**body, **openai_error(error)} if request.path.endswith("/api/v1/responses") else body


def openai_error(error: FlowRunnerError) -> dict[str, Any]:
    """Return an error in the format of OpenAI's API."""
    kind = "invalid_request_error" if error.status < 500 else "processing_error"
    return {"error": {"message": error.message, "type": kind, "code": error.code, "param": None}}


#: Errors of stores, which the watch logs once for all requests.
_OF_STORES: Final = (*OF_STORES, NotReady)


def error_response(error: FlowRunnerError, body: dict[str, Any] | None = None) -> Response:
    """Return the answer to an error; log server errors.

    :param body: the body; default: that of :func:`error_body`.
    """
    _note(error)
    response = json_response(error_body(error) if body is None else body, error.status)
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(error.retry_after)
    return response


def _note(error: FlowRunnerError) -> None:
    """Log a server error, or report it to the watch of the stores."""
    runner = request.environ.get(RUNNER)
    if runner is not None and isinstance(error, _OF_STORES):
        runner.watch.failed(error)
    elif error.status >= 500 and not was_told(error):
        # For expected conditions such as a busy server, the message is sufficient, without a traceback of the view.
        unclear = error.status == 500 and error.__cause__ is None and not isinstance(error, RunLost)
        logger.error("%s: %s", error.code, error.message, exc_info=error if unclear else None)


def add_error_handlers(blueprint: Blueprint) -> None:
    """Register the error handlers on the blueprint; the host's own views keep the host's handlers."""

    @blueprint.errorhandler(FlowRunnerError)
    def ours(error: FlowRunnerError) -> Response:
        wrong = isinstance(error, (SettingsInvalid, PluginFailed))
        return error_response(_not_ready(error) if wrong else error)

    def http(error: HTTPException) -> Response:
        if isinstance(error, RequestEntityTooLarge):
            return error_response(BodyTooLarge("The body is too large for this server."))
        code = error.name.lower().replace(" ", "_")
        answer = json_response({"detail": error.name, "code": code}, error.code or 500)
        response = error.get_response()
        if "Allow" in response.headers:
            answer.headers["Allow"] = response.headers["Allow"]
        return answer

    # Flask prefers a site's handler for one status to our handler for all.
    for status in default_exceptions:
        blueprint.register_error_handler(status, http)
    blueprint.register_error_handler(HTTPException, http)

    @blueprint.errorhandler(Exception)
    def unexpected(error: Exception) -> Response:
        failure = as_store_failed(error)
        if failure is not None:
            return error_response(failure)
        if not was_told(error):
            logger.exception("unexpected error in a request")
        return json_response({"detail": "Internal Server Error", "code": "internal_error"}, 500)


def _not_ready(error: FlowRunnerError) -> FlowRunnerError:
    """Return the error for callers if the runner cannot be opened; the actual reason may name paths and hosts."""
    if current_app.debug or current_app.testing:
        return NotReady(error.message)
    told = NotReady("The server cannot open its data; its log says why.")
    told.__cause__ = error
    return told
