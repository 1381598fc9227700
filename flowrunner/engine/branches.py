"""Branches not taken: leave out the vertices behind the outputs that a router did not choose."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from flowrunner.engine.ordering import ORDER_INPUT
from flowrunner.engine.planned import PlannedEdge, PlannedVertex
from flowrunner.engine.result import VertexResult

_NOTHING: Final[frozenset[int]] = frozenset()


def left_out(vertices: Sequence[PlannedVertex], index: int, result: VertexResult) -> frozenset[int]:
    """Return the positions of the vertices that are skipped because a vertex gave no value for some of its outputs.

    Vertices that also follow an output with a value are joins and still run. All outputs without a value are
    considered together.
    """
    planned = vertices[index]
    if planned.as_tool:
        return _NOTHING
    edges = [edge for edge in planned.outgoing if _carries(edge)]
    untaken = [e.target for e in edges if e.output is not None and e.output not in result.outputs]
    if not untaken:
        return _NOTHING
    taken = [e.target for e in edges if e.output is None or e.output in result.outputs]
    return _following(vertices, untaken, _following(vertices, taken, _NOTHING))


def _following(vertices: Sequence[PlannedVertex], start: Iterable[int], but: frozenset[int]) -> frozenset[int]:
    """Return the positions that can be reached from ``start``, without those in ``but`` and behind it."""
    found = set(start) - but
    todo = list(found)
    while todo:
        for edge in vertices[todo.pop()].outgoing:
            if edge.target not in found and edge.target not in but and _carries(edge):
                found.add(edge.target)
                todo.append(edge.target)
    return frozenset(found)


def _carries(edge: PlannedEdge) -> bool:
    """Return whether an edge carries a value within a round; edges that only order or close a cycle do not."""
    return edge.input != ORDER_INPUT and not edge.back
