"""Scheduling: what each vertex of a run waits for, and which can run next."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection, Mapping
from typing import Protocol

from flowrunner.engine.ordering import ORDER_INPUT
from flowrunner.engine.planned import PlannedEdge
from flowrunner.engine.result import VertexResult
from flowrunner.engine.state import RunState


class Part(Protocol):
    """What a plan, the body of a loop and a cycle have in common for scheduling."""

    @property
    def scope(self) -> tuple[int, ...]:
        """The positions of the vertices that it runs."""

    @property
    def dependants(self) -> Mapping[int, tuple[PlannedEdge, ...]]:
        """The edges that wait for each vertex."""

    @property
    def waiting(self) -> Mapping[int, int]:
        """The number of edges that each vertex waits for."""


class Passing:
    """Counts the inputs that have arrived for each vertex; ``ready`` holds the vertices that can run."""

    __slots__ = ("_dependants", "_live", "_needed", "_ordered", "_state", "_waiting", "ready")

    def __init__(self, state: RunState, part: Part) -> None:
        self._state = state
        self._dependants = part.dependants
        self._needed = part.waiting
        self._waiting = dict(part.waiting)
        self._live = dict.fromkeys(part.scope, 0)
        self._ordered: dict[int, int] = {}
        self.ready = deque([i for i in part.scope if not part.waiting[i]])

    @classmethod
    def of_round(cls, state: RunState, part: Part, start: Collection[int], members: Collection[int]) -> Passing:
        """Return the scheduling of one round, which runs some vertices of a cycle beginning with ``start``."""
        made = cls(state, part)
        made._needed = Counter(edge.target for index in members for edge in part.dependants[index])
        made._waiting = dict(made._needed)
        made.ready = deque(sorted(index for index in start if not made._needed[index]))
        return made

    def pass_on(self, index: int, result: VertexResult | None) -> list[int]:
        """Tell dependants that a vertex ran or was skipped; return the vertices skipped in turn."""
        untaken = []
        for edge in self._dependants[index]:
            target = edge.target
            self._waiting[target] -= 1
            if edge.input == ORDER_INPUT:
                self._live[target] += 1
                self._ordered[target] = self._ordered.get(target, 0) + 1
            elif edge.source != index:
                self._live[target] += self._state.is_live(edge)
            elif result is not None and (edge.output is None or edge.output in result.outputs):
                self._live[target] += 1
            if self._waiting[target] == 0:
                if self._can_run(target):
                    self.ready.append(target)
                else:
                    untaken.append(target)
        return untaken

    def _can_run(self, index: int) -> bool:
        """Return whether a vertex whose predecessors are all done can run with the values that arrived."""
        if self._state.excluded and self._state.is_excluded(index):
            return False
        live = self._live[index]
        return live == self._needed[index] or (live > self._ordered.get(index, 0) and not self._lacks_required(index))

    def _lacks_required(self, index: int) -> bool:
        """Return whether a required input has edges only from branches that were not taken."""
        planned = self._state.vertices[index]
        return any(
            name in planned.connected and not any(e.input == name and self._state.is_live(e) for e in planned.incoming)
            for name in planned.required
        )
