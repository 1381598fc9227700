"""Log one line for each failed run, with the ids by which it can be found."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import Final

from flowrunner.errors import (
    ComponentFailed,
    FlowRunnerError,
    MemoryFailed,
    RunCancelled,
    RunLost,
    ServerStops,
    StoreFailed,
    VectorStoreFailed,
)
from flowrunner.flows.model import Flow
from flowrunner.store.credentials import mask_text
from flowrunner.store.outage import as_store_failed
from flowrunner.store.watch import StoreWatch

logger = logging.getLogger("flowrunner")


#: Errors of stores, which are reported to the watch.
OF_STORES: Final = (StoreFailed, MemoryFailed, VectorStoreFailed)


def tell_failure(run_id: str, flow: Flow, error: BaseException, watch: StoreWatch, *, stopping: bool) -> BaseException:
    """Log the error that ended a run, once for all runs if a store failed; return the error for the caller.

    :param stopping: whether the run was stopped because the server is stopping.
    """
    failure = error if isinstance(error, FlowRunnerError) else as_store_failed(error)
    if isinstance(failure, OF_STORES):
        watch.failed(failure)
        failure.run_id = run_id
    else:
        log_failure(run_id, flow, error)
    if stopping and isinstance(error, RunCancelled):
        failure = ServerStops("The run was stopped: the server is stopping; try again.")
        failure.run_id = run_id
    return failure or error


def log_failure(run_id: str, flow: Flow, error: BaseException) -> None:
    """Log that a run failed: run, flow, component and cause; the formatter adds the request.

    Afterwards ``error.run_id`` is set, so that the error is not logged again. A refused request (status 4xx) is
    not a failure of the run, and is logged at a lower level.
    """
    known = error if isinstance(error, FlowRunnerError) else None
    facts = {"run_id": run_id, "flow": flow.name, "flow_id": flow.id, "code": known.code if known else "internal_error"}
    if isinstance(error, ComponentFailed):
        facts |= {"component": error.component, "vertex_id": error.vertex_id}
    cause = mask_text(known.sentence) if known else f"unexpected error: {type(error).__name__}"
    word = "was cancelled" if isinstance(error, RunCancelled) else "failed"
    level = logging.INFO if known and known.status < 500 else logging.ERROR
    shown = (run_id, flow.name, flow.id, word, cause)
    logger.log(level, "run %s of %s (%s) %s: %s", *shown, extra=facts, exc_info=None if _is_foreseen(known) else error)
    with suppress(AttributeError):
        error.run_id = run_id  # type: ignore[attr-defined]


def _is_foreseen(error: FlowRunnerError | None) -> bool:
    """Return whether the message of an error is sufficient, so that no traceback is needed."""
    if error is None:
        return False
    return error.status != 500 or error.__cause__ is not None or isinstance(error, (ComponentFailed, RunLost))


def was_told(error: BaseException) -> bool:
    """Return whether the error that ended a run was logged."""
    return getattr(error, "run_id", None) is not None
