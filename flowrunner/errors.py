"""All errors that flowrunner raises on purpose, each with an HTTP status and a stable code.

The status and the code are on the class, so that the HTTP layer, the command line and the
tests read them from one place. The message is one plain sentence for the person who gets it:
what is wrong, where, and what to do.
"""

from __future__ import annotations

import opcode
import threading
from collections.abc import Mapping, Sequence
from typing import Any, Final

_RAISE: Final = opcode.opmap["RAISE_VARARGS"]


class FlowRunnerError(Exception):
    """The base class of all errors of this package."""

    status = 500
    code = "flowrunner_error"
    #: Seconds after which to retry, if known.
    retry_after: int | None = None
    #: The run that the error ended, after it was logged; see :mod:`flowrunner.runs.failures`.
    run_id: str | None = None

    def __init__(self, message: str, *, detail: Any = None) -> None:
        super().__init__(message)
        self.message = message
        self._detail = detail

    @property
    def detail(self) -> Any:
        """The member ``detail`` of the answer: the message, or a list or object."""
        return self.message if self._detail is None else self._detail

    @property
    def sentence(self) -> str:
        """The message without the prefix that clients of the reference server expect."""
        return self.message


class SettingsInvalid(FlowRunnerError):
    """A setting has a value that cannot be used, or two settings contradict each other."""

    code = "settings_invalid"


class PluginFailed(FlowRunnerError):
    """A plugin cannot be loaded, or offers something that is refused."""

    code = "plugin_failed"


class NotReady(FlowRunnerError):
    """The data of the server cannot be opened at the moment."""

    status = 503
    code = "not_ready"


class SchemaOutdated(FlowRunnerError):
    """The database has an older or newer schema than this program."""

    status = 503
    code = "schema_outdated"


class FlowNotFound(FlowRunnerError):
    """The owner has no flow with this id or name."""

    status = 404
    code = "flow_not_found"


class NotFound(FlowRunnerError):
    """Something named in a request does not exist, or does not belong to the caller."""

    status = 404
    code = "not_found"


class FlowInvalid(FlowRunnerError):
    """A flow file or a graph that cannot be run."""

    status = 422
    code = "flow_invalid"


class EdgeInvalid(FlowInvalid):
    """An edge connects incompatible ports; the reference server answers this with 500."""

    status = 500
    code = "edge_invalid"


class RequestInvalid(FlowRunnerError):
    """The body, query or path of a request is not valid.

    :param entries: a list of ``{"type", "loc", "msg"}`` objects for the answer, if any.
    """

    status = 422
    code = "request_invalid"

    def __init__(self, message: str, entries: Sequence[Mapping[str, Any]] | None = None) -> None:
        super().__init__(message, detail=list(entries) if entries else None)


class BadRequest(FlowRunnerError):
    """A request that is well-formed but contradicts itself, or refers to something that it may not use."""

    status = 400
    code = "bad_request"


class SessionRequired(BadRequest):
    """The session policy is ``require`` and neither request nor flow names a session."""

    code = "session_required"


class UnsupportedBody(FlowRunnerError):
    """The content type of a body is not supported."""

    status = 415
    code = "unsupported_body"


class BodyTooLarge(FlowRunnerError):
    """A body exceeds the size limit."""

    status = 413
    code = "body_too_large"


class TweakRefused(FlowRunnerError):
    """A tweak of a protected field; nothing was applied.

    :param fields: the names of the protected fields.
    """

    status = 422
    code = "TWEAKS_REFUSED"

    def __init__(self, fields: Sequence[str]) -> None:
        message = "The field is protected and keeps the value set by the flow author."
        super().__init__(
            message,
            detail={"error": "Refused tweaks", "code": self.code, "message": message, "fields": list(fields)},
        )


class NotAllowed(FlowRunnerError):
    """The caller is not authenticated, or has no permission."""

    status = 403
    code = "not_allowed"


class SessionBusy(FlowRunnerError):
    """Another run holds the session, and this one did not get its turn in time."""

    status = 409
    code = "session_busy"


class Conflict(FlowRunnerError):
    """The request conflicts with stored data, such as an id that already exists."""

    status = 409
    code = "conflict"


class KeyInFlight(FlowRunnerError):
    """A request with the same ``Idempotency-Key`` is in progress."""

    status = 409
    code = "idempotency_in_flight"
    retry_after = 1

    def __init__(self, message: str = "A request with this Idempotency-Key is in progress; try again.") -> None:
        super().__init__(message)


class KeyReused(FlowRunnerError):
    """An ``Idempotency-Key`` was used for another request."""

    status = 422
    code = "idempotency_key_reused"


class AnswerGone(FlowRunnerError):
    """The request with an ``Idempotency-Key`` was completed, but its answer is no longer stored."""

    status = 410
    code = "answer_gone"


class RunLost(FlowRunnerError):
    """The process of a run ended before the run did."""

    code = "run_lost"


class TooMany(FlowRunnerError):
    """A caller exceeds a limit on concurrent or hourly requests.

    :param retry_after: seconds after which to retry, if known.
    """

    status = 429
    code = "too_many"

    def __init__(self, message: str, *, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class TooBusy(FlowRunnerError):
    """The server has reached its limit of concurrent runs."""

    status = 503
    code = "too_busy"


class ServerStops(FlowRunnerError):
    """The server is stopping: it accepts no new runs, or has cancelled the run."""

    status = 503
    code = "server_stops"


class ComponentFailed(FlowRunnerError):
    """A component raised an exception, which is the ``__cause__``.

    :param vertex_id: id of the vertex.
    :param component: display name of the component.
    :param reason: the text of the error.
    """

    code = "component_failed"

    def __init__(self, vertex_id: str, component: str, reason: str) -> None:
        super().__init__(f"Error running graph: Error building Component {component}: {reason}")
        self.vertex_id = vertex_id
        self.component = component
        self.reason = reason

    @property
    def sentence(self) -> str:
        """Component and reason."""
        return f"{self.component}: {self.reason}"


class RunTimeout(FlowRunnerError):
    """A run exceeded its time limit."""

    status = 504
    code = "run_timeout"


class RunCancelled(FlowRunnerError):
    """A run was cancelled, by its client or by the server."""

    status = 499
    code = "run_cancelled"


class MemoryFailed(FlowRunnerError):
    """An operation of a memory backend failed, without partial changes."""

    status = 503
    code = "memory_failed"


class StoreFailed(FlowRunnerError):
    """An operation of the server's own database failed, without partial changes."""

    status = 503
    code = "store_failed"


class VectorStoreFailed(FlowRunnerError):
    """An operation of a vector store failed, without partial changes."""

    status = 503
    code = "vector_store_failed"


class ChunkInvalid(FlowRunnerError):
    """Chunks that a vector store cannot store, or a vector with another length than those of the collection."""

    status = 422
    code = "chunk_invalid"


class MessageInvalid(FlowRunnerError):
    """A message that lacks required fields, or whose id already exists."""

    status = 422
    code = "message_invalid"


#: Errors whose message needs their name: that of ``KeyError('a')`` is only ``'a'``.
_TERSE: Final = (LookupError, AttributeError, NameError, TypeError, AssertionError, ArithmeticError, SyntaxError)


def reason_of(error: BaseException) -> str:
    """Return the message of an error for use in a sentence: without a full stop, and with its name if that helps."""
    if isinstance(error, SystemExit):
        return f"it called sys.exit({'' if error.code is None else repr(error.code)})"
    said = (error.message if isinstance(error, FlowRunnerError) else str(error)).strip()
    said = said.removesuffix(".") if not said.endswith("..") else said
    if not said:
        return type(error).__name__
    return f"{type(error).__name__}: {said}" if isinstance(error, _TERSE) or not isinstance(error, Exception) else said


def is_interrupt(error: BaseException) -> bool:
    """Return whether an exception from third-party code is meant for the whole program, and must be passed on.

    This applies to Ctrl-C, and to the exception with which gevent stops greenlets. ``raise KeyboardInterrupt``,
    ``sys.exit()`` and other exceptions raised by the code itself are only failures of that code.
    """
    if type(error).__module__.partition(".")[0] in ("greenlet", "gevent"):
        return True
    if not isinstance(error, KeyboardInterrupt) or threading.current_thread() is not threading.main_thread():
        return False
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    # A signal is noticed between any two instructions; only a statement `raise` stands on this one.
    return trace is None or trace.tb_frame.f_code.co_code[trace.tb_lasti] != _RAISE
