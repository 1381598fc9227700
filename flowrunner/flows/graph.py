"""Find cycles and loose ends in a flow's graph, in linear time."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import TypeVar

from flowrunner.flows.model import Edge, Flow

Node = TypeVar("Node", bound=Hashable)


def find_circles(flow: Flow) -> list[list[str]]:
    """Return the ids of vertices that wait for each other, a list for each circle.

    An edge back into a loop's own output is no circle: it is what the loop is for.
    """
    after: dict[str, list[str]] = {vertex.id: [] for vertex in flow.vertices}
    alone: set[str] = set()
    for edge in flow.edges:
        if edge.feedback or edge.source not in after or edge.target not in after:
            continue
        after[edge.source].append(edge.target)
        if edge.source == edge.target:
            alone.add(edge.source)
    order = {vertex.id: index for index, vertex in enumerate(flow.vertices)}
    found = [sorted(group, key=order.__getitem__) for group in strong_components(after)]
    return [group for group in found if len(group) > 1 or group[0] in alone]


def find_isolated(flow: Flow) -> set[str]:
    """Return the ids of vertices at which no edge ends."""
    return {vertex.id for vertex in flow.vertices} - _ends(flow.edges)


def _ends(edges: Iterable[Edge]) -> set[str]:
    return {end for edge in edges for end in (edge.source, edge.target)}


def strong_components(after: Mapping[Node, Sequence[Node]]) -> list[list[Node]]:
    """Return the strongly connected components: Tarjan's algorithm, without recursion."""
    number: dict[Node, int] = {}
    lowest: dict[Node, int] = {}
    on_path: dict[Node, None] = {}
    found: list[list[Node]] = []
    for root in after:
        if root in number:
            continue
        work = [(root, iter(after[root]))]
        number[root] = lowest[root] = len(number)
        on_path[root] = None
        while work:
            vertex, targets = work[-1]
            for target in targets:
                if target not in number:
                    number[target] = lowest[target] = len(number)
                    on_path[target] = None
                    work.append((target, iter(after[target])))
                    break
                if target in on_path:
                    lowest[vertex] = min(lowest[vertex], number[target])
            else:
                work.pop()
                if work:
                    lowest[work[-1][0]] = min(lowest[work[-1][0]], lowest[vertex])
                if lowest[vertex] == number[vertex]:
                    found.append(_take_until(vertex, on_path))
    return found


def _take_until(vertex: Node, path: dict[Node, None]) -> list[Node]:
    group = []
    while True:
        last, _ = path.popitem()
        group.append(last)
        if last == vertex:
            return group
