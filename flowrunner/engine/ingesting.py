"""Extract the part of a flow that fills collections, as a flow that can run alone."""

from __future__ import annotations

from dataclasses import replace

from flowrunner.components.contract import SHARED
from flowrunner.errors import FlowInvalid
from flowrunner.flows.declared import told_by
from flowrunner.flows.model import Edge, Flow, hash_content
from flowrunner.flows.ports import FlowPorts
from flowrunner.registry import Registry


def ingesting_part(flow: Flow, registry: Registry) -> tuple[Flow, dict[str, str]]:
    """Return a flow of the vertices that fill collections and their predecessors, and the collection of each vertex.

    Search is left out: edges that carry a query, and everything behind them.

    :raises FlowInvalid: if no vertex of the flow fills a collection.
    """
    ports = FlowPorts(flow, registry)
    incoming: dict[str, list[tuple[Edge, bool]]] = {}
    for edge in flow.edges:
        found = ports.of(edge.target)
        declared = found.find_input(edge.input) if found is not None and not edge.feedback else None
        if declared is not None:
            incoming.setdefault(edge.target, []).append((edge, declared.tool))
    fillers: dict[str, str] = {}
    for vertex in flow.vertices:
        component, given = registry.component(vertex.type), ports.of(vertex.id)
        if component is None or given is None:
            continue
        edges = [edge for edge, _ in incoming.get(vertex.id, ())]
        connected = {one.name for edge in edges if (one := given.find_input(edge.input)) is not None}
        name = told_by(component, vertex, "fills_with", vertex.settings, connected)
        if name is not None and not name.startswith(SHARED):
            fillers[vertex.id] = name or f"flow {flow.id}"
    if not fillers:
        raise FlowInvalid(
            f"No vertex of the flow {flow.name} fills a collection: no vector store has an input connected."
        )
    kept, todo, edges = set(fillers), list(fillers), []
    while todo:
        target = todo.pop()
        for edge, asks in incoming.get(target, ()):
            if target in fillers and asks:
                continue
            edges.append(edge)
            if edge.source not in kept:
                kept.add(edge.source)
                todo.append(edge.source)
    vertices = tuple(vertex for vertex in flow.vertices if vertex.id in kept)
    made = tuple(edge for edge in flow.edges if edge in edges)
    return replace(flow, vertices=vertices, edges=made, content_hash=hash_content(vertices, made)), fillers
