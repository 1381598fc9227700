"""Detect whether a frozen component depends on the request or the session."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from flowrunner.components.context import RunContext
from flowrunner.engine.ordering import ORDER_INPUT
from flowrunner.engine.planned import PlannedVertex
from flowrunner.engine.provenance import injected
from flowrunner.engine.state import RunState
from flowrunner.memory.message import Message
from flowrunner.word import Word

#: Attributes of the context whose value differs between sessions or runs.
_PERSONAL: Final = frozenset({"session", "session_id", "memory", "run_id", "run_flow", "flow_values"})


class WatchedContext(RunContext):
    """The context of a component whose result a frozen one uses: it records access to the session and the run."""

    __slots__ = ("noted",)
    noted: Callable[[], object]

    def __getattribute__(self, name: str) -> Any:
        if name in _PERSONAL:
            object.__getattribute__(self, "noted")()
        return object.__getattribute__(self, name)

    def stamp(self, message: Message) -> Message:
        """Return the message with the session of this run; a cached one gets that of each run that uses it."""
        session, flow_id = object.__getattribute__(self, "session"), self.flow_id
        return message.replace(session_id=session.id, flow_id=flow_id)


def noting(state: RunState, planned: PlannedVertex, variable: Callable[..., str | None]) -> Callable[..., str | None]:
    """Wrap the lookup ``variable`` so that it records the names it is called with, and whether the request set them."""

    def look_up(name: str, **more: Any) -> str | None:
        state.asked.add(name.upper())
        if name.upper() in state.request.variables:
            state.personal.add(planned.index)
        return variable(name, **more)

    return look_up


def is_personal(state: RunState, planned: PlannedVertex) -> bool:
    """Return whether the outputs of a vertex depend on the request or the session, as far as is known so far."""
    if planned.index in state.personal or planned.in_cycle or planned is not state.plan.vertices[planned.index]:
        return True
    if "session_id" in planned.inputs or injected(state, planned) is not None:
        return True
    if any(_is_asked(state, planned, field) for field in planned.variables):
        return True
    return any(edge.source in state.personal for edge in planned.incoming if edge.input != ORDER_INPUT)


def _is_asked(state: RunState, planned: PlannedVertex, field: str) -> bool:
    found = state.variable_of(planned, field)
    return found is not None and found.word is Word.REQUEST
