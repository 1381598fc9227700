"""Loops: run the vertices behind a loop's item once for each item, and collect their results."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flowrunner.engine.ordering import ORDER_INPUT
from flowrunner.engine.planned import PlannedEdge, PlannedVertex
from flowrunner.errors import ComponentFailed, FlowRunnerError, is_interrupt, reason_of

if TYPE_CHECKING:
    from flowrunner.engine.cycles import PlannedCycle

#: For each loop, by position: the vertices and outputs whose edges lead back into it.
Returns = Mapping[int, Sequence[tuple[int, str | None]]]


@dataclass(frozen=True, slots=True)
class PlannedLoop:
    """The body of a loop, as a plan within the plan.

    ``members`` are all vertices of the body, ``scope`` those outside inner loops. ``dependants`` and ``waiting``
    mean the same as in a plan. ``returns`` are the vertices and outputs whose edges lead back into the loop.
    """

    members: tuple[int, ...]
    scope: tuple[int, ...]
    dependants: Mapping[int, tuple[PlannedEdge, ...]]
    waiting: Mapping[int, int]
    returns: tuple[tuple[int, str | None], ...] = ()
    inner: Mapping[int, PlannedLoop] = field(default_factory=dict)
    cycles: Mapping[int, PlannedCycle] = field(default_factory=dict)


def find_loops(planned: Sequence[PlannedVertex], scope: Iterable[int], returns: Returns) -> dict[int, PlannedLoop]:
    """Return the outermost loops, by position. Each waits for everything that its body needs."""
    bodies = {i: body for i in scope if (body := _body(planned, i)) is not None}
    for index, body in bodies.items():
        _wait_for_needs(planned, index, body)
    return _nested(planned, bodies, returns, set(bodies))


def outside_of(loops: Mapping[int, PlannedLoop], scope: Iterable[int]) -> tuple[int, ...]:
    """Return the positions outside all loops."""
    inside = {i for loop in loops.values() for i in loop.members}
    return tuple(i for i in scope if i not in inside)


def _nested(
    planned: Sequence[PlannedVertex], bodies: Mapping[int, set[int]], returns: Returns, among: set[int]
) -> dict[int, PlannedLoop]:
    """Return the outermost of some loops, each with the loops inside it."""
    outer = {i for i in among if not any(i in bodies[other] for other in among if other != i)}
    made: dict[int, PlannedLoop] = {}
    for index in sorted(outer):
        body = bodies[index]
        inner = _nested(planned, bodies, returns, {i for i in among if i in body and i != index})
        scope = outside_of(inner, sorted(body))
        members, heads = set(scope), (*scope, index)
        made[index] = PlannedLoop(
            members=tuple(sorted(body)),
            scope=scope,
            dependants={i: tuple(e for e in planned[i].outgoing if e.target in members) for i in heads},
            waiting={i: sum(e.source in members or e.source == index for e in planned[i].incoming) for i in scope},
            returns=tuple(returns.get(index, ())),
            inner=inner,
        )
    return made


def _body(planned: Sequence[PlannedVertex], index: int) -> set[int] | None:
    """Return the vertices behind the item output of a loop but not behind its final output; None if it is no loop."""
    item = planned[index].component.loop_output
    if item is None:
        return None
    outgoing = planned[index].outgoing
    body = _following(planned, (e.target for e in outgoing if e.output == item))
    end = _following(planned, (e.target for e in outgoing if e.output != item))
    return body - end - {index}


def _following(planned: Sequence[PlannedVertex], start: Iterable[int]) -> set[int]:
    found = set(start)
    todo = list(found)
    while todo:
        for edge in planned[todo.pop()].outgoing:
            if edge.target not in found:
                found.add(edge.target)
                todo.append(edge.target)
    return found


def _wait_for_needs(planned: Sequence[PlannedVertex], index: int, body: set[int]) -> None:
    """Make a loop wait for the vertices outside that feed its body, which runs as soon as the loop does."""
    known = {edge.source for edge in planned[index].incoming} | {index}
    for member in sorted(body):
        for edge in planned[member].incoming:
            if edge.source not in body and edge.source not in known:
                known.add(edge.source)
                order = PlannedEdge(edge.source, None, index, ORDER_INPUT)
                planned[edge.source].outgoing.append(order)
                planned[index].incoming.append(order)


def finish_loop(planned: PlannedVertex, returned: Sequence[Any], mask: Callable[[str], str]) -> Mapping[str, Any]:
    """Return the final outputs of a loop.

    :param returned: the values that its body returned, one per item.
    :param mask: removes secrets from a text.
    :raises ComponentFailed: if the component raises an error.
    """
    try:
        return planned.component.finish_loop(returned)
    except FlowRunnerError:
        raise
    except BaseException as error:
        if is_interrupt(error):
            raise
        raise ComponentFailed(planned.vertex.id, planned.display_name, mask(reason_of(error))) from error
