"""The state of a running flow, shared by the modules of the engine."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from flowrunner.components.cancelling import CancelToken
from flowrunner.components.context import RunContext
from flowrunner.engine.events import EventStream
from flowrunner.engine.planned import Plan, PlannedEdge, PlannedVertex
from flowrunner.engine.request import RunRequest
from flowrunner.engine.result import VertexResult
from flowrunner.engine.run_memory import RunMemory
from flowrunner.engine.services import FoundVariable, RunServices
from flowrunner.engine.sessions import SessionFrame
from flowrunner.engine.sizes import OutputSizes
from flowrunner.errors import RunTimeout
from flowrunner.word import Word


@dataclass(slots=True)
class RunState:
    """The state of one run: its request, its services, and the results of its vertices so far.

    ``vertices`` are those of the plan, with tweaks applied. ``turn`` holds the sessions whose turn the run has.
    ``shared`` is a dict for components of the run. ``deadline`` is a time of the monotonic clock, or None. ``word``
    is the origin of the flow. ``contexts`` creates the contexts of vertices. ``found`` caches variables of fields,
    ``words`` the provenance of outputs. ``excluded`` has the vertices behind branches that each router did not take,
    ``rounds`` the number of rounds that each member of a cycle ran. ``personal`` holds the watched vertices whose
    outputs depend on the request or the session, and ``asked`` the variables that they looked up by name.
    ``spent`` has the tokens that vertices counted, until their results take them.
    """

    plan: Plan
    vertices: list[PlannedVertex]
    request: RunRequest
    owner: str
    services: RunServices
    cancelled: CancelToken
    turn: frozenset[str]
    run_id: str
    frame: SessionFrame
    events: EventStream
    memory: RunMemory
    deadline: float | None
    results: dict[int, VertexResult] = field(default_factory=dict)
    shared: dict[str, Any] = field(default_factory=dict)
    found: dict[tuple[int, str], FoundVariable | None] = field(default_factory=dict)
    words: dict[int, tuple[Word, Word]] = field(default_factory=dict)
    excluded: dict[int, frozenset[int]] = field(default_factory=dict)
    rounds: dict[int, int] = field(default_factory=dict)
    personal: set[int] = field(default_factory=set)
    asked: set[str] = field(default_factory=set)
    spent: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    sizes: OutputSizes = field(init=False)
    word: Word = field(init=False)
    contexts: partial[RunContext] | None = None

    def __post_init__(self) -> None:
        self.sizes = OutputSizes(self.services.settings.max_text)
        self.word = Word.OPERATOR if self.plan.flow.owner in (None, self.services.operator) else Word.AUTHOR

    def is_live(self, edge: PlannedEdge) -> bool:
        """Return whether an edge carries a value: its source ran and gave a value for that output."""
        result = self.results.get(edge.source)
        return result is not None and (edge.output is None or edge.output in result.outputs)

    def is_excluded(self, index: int) -> bool:
        """Return whether a vertex is behind a branch that a router did not take."""
        return any(index in left_out for left_out in self.excluded.values())

    def forget(self, members: Iterable[int]) -> None:
        """Forget the results of vertices that run again: the body of a loop, and cycles in it."""
        for index in members:
            self.results.pop(index, None)
            self.rounds.pop(index, None)
            self.excluded.pop(index, None)

    def variable(self, name: str, *, asked: bool = False, chosen: bool = False) -> FoundVariable | None:
        """Return a variable: of the request, else of the owner, else an allowed environment variable."""
        given = self.request.variables
        found = given.get(name.upper()) if given else None
        if found is not None:
            return FoundVariable(found, Word.REQUEST)
        return self.services.variable(self.owner, name, asked=asked, chosen=chosen)

    def variable_of(self, planned: PlannedVertex, field: str) -> FoundVariable | None:
        """Return the variable that a field of a vertex names.

        A name set by a tweak has fewer rights than one set by the author of the flow: otherwise anybody who may run a
        flow could print the server's keys.
        """
        key = (planned.index, field)
        if key not in self.found:
            variable, original = planned.variables[field], self.plan.vertices[planned.index]
            asked = original is not planned and original.variables.get(field) != variable
            self.found[key] = self.variable(variable, asked=asked)
        return self.found[key]

    @property
    def late(self) -> str:
        """Return the error for a run that takes too long."""
        limit = self.services.settings.run_timeout
        return (
            f"The run of {self.plan.flow.name} took longer than {limit:g} seconds (FLOWRUNNER_RUN_TIMEOUT) and was"
            " stopped."
        )

    def check_time(self) -> None:
        """Stop a run that was cancelled or took too long.

        :raises RunCancelled: if it was cancelled.
        :raises RunTimeout: if it is past its deadline.
        """
        if self.deadline is not None and time.monotonic() > self.deadline:
            self.cancelled.cancel("it took too long")
            raise RunTimeout(self.late)
        self.cancelled.raise_if_set()
