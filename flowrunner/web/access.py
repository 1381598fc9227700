"""The messages and flows that a caller may access: their own, everybody's for admins, single flows for limited keys."""

from __future__ import annotations

from contextlib import suppress

from flowrunner.errors import FlowNotFound
from flowrunner.flows.naming import canonical_uuid
from flowrunner.memory import OwnerMemory
from flowrunner.memory.flow_memory import FlowMemory
from flowrunner.store.runlog import RunLog
from flowrunner.store.runrecords import RunRecords
from flowrunner.web.auth import caller, this_runner


def messages_to_read() -> OwnerMemory | FlowMemory:
    """Return the messages that the caller may read."""
    return _limited(this_runner().memory_of(caller(), admin=True))


def messages_to_change() -> OwnerMemory | FlowMemory:
    """Return the messages that the caller may change: those of one owner, also for admins."""
    return _limited(this_runner().memory_of(caller()))


def flows_in_reach() -> tuple[str, ...] | None:
    """Return the ids of the flows that the caller's key is limited to; None without a limit."""
    runner, identity = this_runner(), caller()
    if identity.flows is None:
        return None
    found = set()
    for name in identity.flows:
        canonical = canonical_uuid(name)
        if canonical is not None:
            found.add(canonical)
            continue
        with suppress(FlowNotFound):
            found.add(runner.library.get(name, identity).id)
    return tuple(sorted(found))


def in_reach(flow_id: str) -> bool:
    """Return whether the key of the caller allows a flow."""
    flows = flows_in_reach()
    return flows is None or flow_id in flows


def run_log_of(flow_id: str | None) -> RunLog | None:
    """Return the run log; None if it is disabled, or if the caller's key does not allow the flow."""
    return this_runner().stores.run_log if flow_id is None or in_reach(flow_id) else None


def run_records() -> RunRecords:
    """Return the records of runs, which exist even if the run log is disabled."""
    return this_runner().stores.run_log or RunRecords(this_runner().engine, 1)


def _limited(memory: OwnerMemory) -> OwnerMemory | FlowMemory:
    flows = flows_in_reach()
    return memory if flows is None else FlowMemory(memory, flows)
