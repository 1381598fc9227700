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
    """Root of all errors of this package."""

    status = 500
    code = "flowrunner_error"
    #: Seconds after which it is worth another try, where that is known.
    retry_after: int | None = None
    #: The run that it ended, once the log has a line about that; see :mod:`flowrunner.runs.failures`.
    run_id: str | None = None

    def __init__(self, message: str, *, detail: Any = None) -> None:
        super().__init__(message)
        self.message = message
        self._detail = detail

    @property
    def detail(self) -> Any:
        """What stands under ``detail`` in the answer: the message, or a list or object."""
        return self.message if self._detail is None else self._detail

    @property
    def sentence(self) -> str:
        """The message for people: without what the reference server's clients expect before it."""
        return self.message


class SettingsInvalid(FlowRunnerError):
    """A setting has a value that cannot be used, or two settings contradict each other."""

    code = "settings_invalid"


class PluginFailed(FlowRunnerError):
    """A plugin cannot be loaded, or offers something that is refused."""

    code = "plugin_failed"


class NotReady(FlowRunnerError):
    """The data of the server cannot be opened at present."""

    status = 503
    code = "not_ready"


class SchemaOutdated(FlowRunnerError):
    """The database has an older or newer schema than this program."""

    status = 503
    code = "schema_outdated"


class FlowNotFound(FlowRunnerError):
    """No flow of that id or name is there for this owner."""

    status = 404
    code = "flow_not_found"


class NotFound(FlowRunnerError):
    """A thing that a request names is not there, or not the caller's."""

    status = 404
    code = "not_found"


class FlowInvalid(FlowRunnerError):
    """A flow file or a graph that cannot be run."""

    status = 422
    code = "flow_invalid"


class EdgeInvalid(FlowInvalid):
    """An edge joins ports that do not fit; the reference server answers this with 500."""

    status = 500
    code = "edge_invalid"


class RequestInvalid(FlowRunnerError):
    """A request whose body, query or path is wrong.

    :param entries: list of ``{"type", "loc", "msg"}`` objects for the answer, where there are any.
    """

    status = 422
    code = "request_invalid"

    def __init__(self, message: str, entries: Sequence[Mapping[str, Any]] | None = None) -> None:
        super().__init__(message, detail=list(entries) if entries else None)


class BadRequest(FlowRunnerError):
    """A request that is well formed but contradicts itself or names what it may not."""

    status = 400
    code = "bad_request"


class SessionRequired(BadRequest):
    """The session policy is ``require`` and neither request nor flow names a session."""

    code = "session_required"


class UnsupportedBody(FlowRunnerError):
    """A body of a content type that is not read here."""

    status = 415
    code = "unsupported_body"


class BodyTooLarge(FlowRunnerError):
    """A body over the limit."""

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
    """The caller did not say who they are, or may not do this."""

    status = 403
    code = "not_allowed"


class SessionBusy(FlowRunnerError):
    """Another run holds the session, and this one did not get its turn in time."""

    status = 409
    code = "session_busy"


class Conflict(FlowRunnerError):
    """What is asked contradicts what is stored, such as an id that is taken."""

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
    """An ``Idempotency-Key`` that another request had."""

    status = 422
    code = "idempotency_key_reused"


class AnswerGone(FlowRunnerError):
    """The request of an ``Idempotency-Key`` was done, and its answer is not kept."""

    status = 410
    code = "answer_gone"


class RunLost(FlowRunnerError):
    """The process of a run ended before the run did."""

    code = "run_lost"


class TooMany(FlowRunnerError):
    """A caller does more at a time, or in an hour, than one caller may.

    :param retry_after: seconds after which it may be tried again, where that is known.
    """

    status = 429
    code = "too_many"

    def __init__(self, message: str, *, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class TooBusy(FlowRunnerError):
    """The server runs as many flows as it may."""

    status = 503
    code = "too_busy"


class ServerStops(FlowRunnerError):
    """The server is about to stop, and takes nothing new or has stopped what it ran."""

    status = 503
    code = "server_stops"


class ComponentFailed(FlowRunnerError):
    """A component raised an error while it ran; ``__cause__`` is what it raised.

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
    """A run took longer than it may."""

    status = 504
    code = "run_timeout"


class RunCancelled(FlowRunnerError):
    """A run was cancelled, by its client or by the server."""

    status = 499
    code = "run_cancelled"


class MemoryFailed(FlowRunnerError):
    """A memory backend could not do what it was asked; nothing half-done remains."""

    status = 503
    code = "memory_failed"


class StoreFailed(FlowRunnerError):
    """The server's own database could not do what it was asked; nothing half-done remains."""

    status = 503
    code = "store_failed"


class VectorStoreFailed(FlowRunnerError):
    """A vector store could not do what it was asked; nothing half-done remains."""

    status = 503
    code = "vector_store_failed"


class ChunkInvalid(FlowRunnerError):
    """Chunks that a vector store cannot keep, or a vector that does not fit those it has."""

    status = 422
    code = "chunk_invalid"


class MessageInvalid(FlowRunnerError):
    """A message that lacks what storing needs, or whose id is taken."""

    status = 422
    code = "message_invalid"


#: Errors whose text says little without their name: ``KeyError('a')`` is only ``'a'``.
_TERSE: Final = (LookupError, AttributeError, NameError, TypeError, AssertionError, ArithmeticError, SyntaxError)


def reason_of(error: BaseException) -> str:
    """Return what an error says, as the end of a sentence: without a full stop, and with its name where that helps."""
    if isinstance(error, SystemExit):
        return f"it called sys.exit({'' if error.code is None else repr(error.code)})"
    said = (error.message if isinstance(error, FlowRunnerError) else str(error)).strip()
    said = said.removesuffix(".") if not said.endswith("..") else said
    if not said:
        return type(error).__name__
    return f"{type(error).__name__}: {said}" if isinstance(error, _TERSE) or not isinstance(error, Exception) else said


def is_interrupt(error: BaseException) -> bool:
    """Return whether an error that came out of foreign code is meant for the whole program, and must pass.

    That is Ctrl-C, and what gevent stops its greenlets with. ``raise KeyboardInterrupt``,
    ``sys.exit()`` and whatever else a piece of code raises by itself is only a failure of that code.
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
