"""Order without edges: vertices that write a collection or a turn run before those that read it."""

from __future__ import annotations

from collections.abc import Sequence

from flowrunner.engine.planned import PlannedEdge, PlannedVertex
from flowrunner.flows.declared import told_by

#: The input name of edges that only order vertices; no component has an input of this name.
ORDER_INPUT = ""


def order_by_collections(planned: Sequence[PlannedVertex], scope: Sequence[int]) -> None:
    """Make vertices that search a collection wait for those of the same run that fill it.

    Edges take precedence: a vertex that must run before the filling one does not wait for it.
    """
    filling: dict[str, list[PlannedVertex]] = {}
    for index in scope:
        vertex = planned[index]
        name = told_by(vertex.component, vertex.vertex, "fills_with", vertex.values, vertex.connected)
        if name is not None and not vertex.as_tool:
            filling.setdefault(name, []).append(vertex)
    if not filling:
        return
    for index in scope:
        reader = planned[index]
        name = told_by(reader.component, reader.vertex, "reads_with", reader.values, reader.connected)
        for filler in filling.get(name, ()) if name is not None else ():
            if filler is not reader and not _leads_to(planned, reader.index, filler.index):
                _order(filler, reader)


def order_by_turn(planned: Sequence[PlannedVertex], scope: Sequence[int]) -> None:
    """Make vertices that read the current turn wait for the chat inputs that store it."""
    readers = [planned[i] for i in scope if planned[i].component.reads_present_turn and not planned[i].as_tool]
    inputs = [planned[i] for i in scope if planned[i].component.input_kind == "chat"] if readers else ()
    for first in inputs:
        following = _following(planned, first.index)
        for reader in readers:
            if reader.index not in following and not _leads_to(planned, reader.index, first.index):
                _order(first, reader)


def _order(first: PlannedVertex, then: PlannedVertex) -> None:
    edge = PlannedEdge(first.index, None, then.index, ORDER_INPUT)
    first.outgoing.append(edge)
    then.incoming.append(edge)


def _leads_to(planned: Sequence[PlannedVertex], start: int, end: int) -> bool:
    return end in _following(planned, start)


def _following(planned: Sequence[PlannedVertex], start: int) -> set[int]:
    found: set[int] = set()
    todo = [start]
    while todo:
        for edge in planned[todo.pop()].outgoing:
            if edge.target not in found:
                found.add(edge.target)
                todo.append(edge.target)
    return found
