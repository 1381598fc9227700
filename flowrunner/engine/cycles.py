"""Cycles: components that lead back to each other through a router, run in rounds up to a bound."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from typing import TYPE_CHECKING, Final

from flowrunner.engine.ordering import ORDER_INPUT
from flowrunner.engine.planned import PlannedEdge, PlannedVertex
from flowrunner.engine.scope import find_start, stuck_in_circles
from flowrunner.errors import FlowInvalid
from flowrunner.flows.declared import told_by
from flowrunner.flows.graph import strong_components

if TYPE_CHECKING:
    from flowrunner.engine.loops import PlannedLoop

#: The most rounds of a cycle, whatever its routers allow.
MOST_ROUNDS: Final = 1000


@dataclass(frozen=True, slots=True)
class PlannedCycle:
    """A cycle of components, as a plan within the plan.

    ``head`` is the member that starts each round. ``scope`` holds all members; ``dependants`` and ``waiting``
    describe one round, without the edges in ``back``, which start the next one. ``routers`` are the members that
    bound the number of rounds.
    """

    head: int
    scope: tuple[int, ...]
    dependants: Mapping[int, tuple[PlannedEdge, ...]]
    waiting: Mapping[int, int]
    back: tuple[PlannedEdge, ...]
    routers: tuple[int, ...]
    inner: Mapping[int, PlannedLoop] = field(default_factory=dict)
    cycles: Mapping[int, PlannedCycle] = field(default_factory=dict)

    @property
    def members(self) -> tuple[int, ...]:
        """All members; a cycle has no members that only an inner loop runs."""
        return self.scope

    def downstream(self, start: Iterable[int]) -> set[int]:
        """Return the members that run in a round which begins at some of them."""
        found = set(start)
        todo = list(found)
        while todo:
            for edge in self.dependants[todo.pop()]:
                if edge.target not in found:
                    found.add(edge.target)
                    todo.append(edge.target)
        return found


def find_cycles(planned: Sequence[PlannedVertex]) -> list[PlannedCycle]:
    """Return the cycles of a flow, and mark the edges that close them.

    :raises FlowInvalid: if a cycle has no router that bounds its rounds, or no component that can run first.
    """
    stuck = stuck_in_circles(planned)
    if not stuck:
        return []
    distances = _distances(planned)
    cycles = [_plan_cycle(planned, members, distances) for members in _circles(planned, stuck)]
    _refuse(planned, stuck_in_circles(planned))
    return cycles


def rounds_of(planned: PlannedVertex) -> int | None:
    """Return the number of rounds that a router allows; None for a component that is not a router.

    :raises FlowInvalid: if the component cannot tell.
    """
    found: int | None = told_by(planned.component, planned.vertex, "rounds_with", planned.values)
    return found


def fold(
    planned: Sequence[PlannedVertex], scope: Iterable[int], cycles: Iterable[PlannedCycle], before: tuple[int, ...] = ()
) -> tuple[tuple[int, ...], dict[int, tuple[PlannedEdge, ...]], dict[int, int], dict[int, PlannedCycle]]:
    """Return scope, dependants and waiting of a plan in which each cycle is represented by its head.

    :param before: positions outside the scope that run before it.
    """
    members = set(scope)
    inside = {cycle.head: cycle for cycle in cycles if members.issuperset(cycle.scope)}
    heads = {index: cycle.head for cycle in inside.values() for index in cycle.scope}
    kept = tuple(i for i in scope if heads.get(i, i) == i)
    leaving: dict[int, list[PlannedEdge]] = {i: [] for i in (*kept, *before)}
    waiting = dict.fromkeys(kept, 0)
    for source in (*scope, *before):
        for edge in planned[source].outgoing:
            giver, taker = heads.get(source, source), heads.get(edge.target, edge.target)
            if taker in waiting and taker != giver and not edge.back:
                order = taker != edge.target
                leaving[giver].append(PlannedEdge(source, None, taker, ORDER_INPUT) if order else edge)
                waiting[taker] += 1
    return kept, {i: tuple(edges) for i, edges in leaving.items()}, waiting, inside


def fold_loop(
    planned: Sequence[PlannedVertex], index: int, loop: PlannedLoop, cycles: list[PlannedCycle]
) -> PlannedLoop:
    """Return a loop with the cycles in its body, and in the loops inside it, folded."""
    scope, dependants, waiting, inside = fold(planned, loop.scope, cycles, (index,))
    inner = {i: fold_loop(planned, i, one, cycles) for i, one in loop.inner.items()}
    return replace(loop, scope=scope, dependants=dependants, waiting=waiting, cycles=inside, inner=inner)


def _circles(planned: Sequence[PlannedVertex], stuck: Sequence[int]) -> list[list[int]]:
    """Return the groups of vertices that can all reach each other, and single vertices that lead to themselves."""
    among = set(stuck)
    after = {i: [e.target for e in planned[i].outgoing if e.target in among] for i in stuck}
    return [sorted(group) for group in strong_components(after) if len(group) > 1 or group[0] in after[group[0]]]


def _plan_cycle(
    planned: Sequence[PlannedVertex], members: Sequence[int], distances: Mapping[int, float]
) -> PlannedCycle:
    """Plan the rounds of a cycle.

    :raises FlowInvalid: if no router bounds them, or no member can run first.
    """
    among = set(members)
    routers = tuple(i for i in members if rounds_of(planned[i]) is not None)
    loop = any(planned[i].component.loop_output is not None for i in members)
    head = _head(planned, among, routers, distances)
    if head is None or loop or not _is_bounded(planned, among - set(routers)):
        _refuse(planned, members)
    assert head is not None
    _mark_back(planned, head, among)
    for index in members:
        vertex = planned[index]
        vertex.in_cycle = True
        vertex.leads_back = frozenset(e.output for e in vertex.outgoing if e.target in among and e.output is not None)
    dependants = {i: tuple(e for e in planned[i].outgoing if e.target in among and not e.back) for i in members}
    waiting = {i: sum(e.source in among and not e.back for e in planned[i].incoming) for i in members}
    back = tuple(e for i in members for e in planned[i].outgoing if e.back)
    return PlannedCycle(head, tuple(members), dependants, waiting, back, routers)


def _head(
    planned: Sequence[PlannedVertex], among: set[int], routers: Sequence[int], distances: Mapping[int, float]
) -> int | None:
    """Return the member that runs first: near the start of the flow, with all required inputs fed from outside."""

    def rank(index: int) -> tuple[bool, float, bool, int]:
        vertex = planned[index]
        fed = {e.input for e in vertex.incoming if e.source not in among}
        lacks = any(name in vertex.connected and name not in fed for name in vertex.required)
        return lacks, distances.get(index, inf), index in routers, index

    fed = [i for i in among if planned[i].is_input or any(e.source not in among for e in planned[i].incoming)]
    return min(fed, key=rank, default=None)


def _distances(planned: Sequence[PlannedVertex]) -> dict[int, float]:
    """Return the distance in edges from the start of the flow to each vertex that can be reached."""
    start = find_start(planned)
    first = [start] if start is not None else [v.index for v in planned if not v.incoming]
    found: dict[int, float] = dict.fromkeys(first, 0)
    todo = deque(first)
    while todo:
        index = todo.popleft()
        for edge in planned[index].outgoing:
            if edge.target not in found:
                found[edge.target] = found[index] + 1
                todo.append(edge.target)
    return found


def _is_bounded(planned: Sequence[PlannedVertex], rest: set[int]) -> bool:
    """Return whether the cycle is broken when its routers are removed."""
    waiting = {i: sum(e.source in rest for e in planned[i].incoming) for i in rest}
    ready = [i for i, count in waiting.items() if not count]
    for index in ready:
        for edge in planned[index].outgoing:
            if edge.target in rest:
                waiting[edge.target] -= 1
                if not waiting[edge.target]:
                    ready.append(edge.target)
    return len(ready) == len(rest)


def _mark_back(planned: Sequence[PlannedVertex], head: int, among: set[int]) -> None:
    """Mark the edges that lead back to a member already on the path from the head."""
    state = {head: "open"}
    walk = [(head, iter(planned[head].outgoing))]
    back: set[PlannedEdge] = set()
    while walk:
        index, edges = walk[-1]
        edge = next((e for e in edges if e.target in among), None)
        if edge is None:
            state[index] = "done"
            walk.pop()
        elif edge.target not in state:
            state[edge.target] = "open"
            walk.append((edge.target, iter(planned[edge.target].outgoing)))
        elif state[edge.target] == "open":
            back.add(edge)
    for index in among:
        vertex = planned[index]
        vertex.outgoing = [replace(e, back=True) if e in back else e for e in vertex.outgoing]
        marked = [replace(e, back=True) if e in back else e for e in vertex.incoming]
        # In an input for one value, the value of the previous round takes precedence over the initial one.
        vertex.incoming = sorted(marked, key=lambda e: not e.back)


def _refuse(planned: Sequence[PlannedVertex], stuck: Sequence[int]) -> None:
    if stuck:
        names = ", ".join(f"{planned[i].display_name} ({planned[i].vertex.id})" for i in stuck[:8])
        raise FlowInvalid(f"These components form a cycle that can never run: {names}.")
