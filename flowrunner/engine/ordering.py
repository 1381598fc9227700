"""Who fills something runs before who reads it, though no edge joins them: a collection and a search in it."""

from __future__ import annotations

from collections.abc import Sequence

from flowrunner.engine.planned import PlannedEdge, PlannedVertex

#: What an edge that only orders leads to: no input has this name.
ORDER_INPUT = ""


def order_by_collections(planned: Sequence[PlannedVertex], scope: Sequence[int]) -> None:
    """Let vertices that search a collection wait for those of the same run that fill it.

    A vertex that the filling one waits for does not wait in turn: edges are stronger.
    """
    filling: dict[str, list[PlannedVertex]] = {}
    for index in scope:
        vertex = planned[index]
        name = vertex.component.fills_with(vertex.values, vertex.connected)
        if name is not None and not vertex.as_tool:
            filling.setdefault(name, []).append(vertex)
    if not filling:
        return
    for index in scope:
        reader = planned[index]
        name = reader.component.reads_with(reader.values, reader.connected)
        for filler in filling.get(name, ()) if name is not None else ():
            if filler is not reader and not _leads_to(planned, reader.index, filler.index):
                edge = PlannedEdge(filler.index, None, reader.index, ORDER_INPUT)
                filler.outgoing.append(edge)
                reader.incoming.append(edge)


def _leads_to(planned: Sequence[PlannedVertex], start: int, end: int) -> bool:
    found, todo = {start}, [start]
    while todo:
        for edge in planned[todo.pop()].outgoing:
            if edge.target == end:
                return True
            if edge.target not in found:
                found.add(edge.target)
                todo.append(edge.target)
    return False
