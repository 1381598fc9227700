"""Flatten groups in a Langflow export: nodes that contain a flow of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from flowrunner.errors import FlowInvalid
from flowrunner.flows.handles import Handle, read_source, read_target
from flowrunner.flows.parsing import Path, place


@dataclass(slots=True)
class Node:
    """One node of the flattened graph: its id there, its JSON, and the template with a group's changes in it."""

    id: str
    raw: Mapping[str, Any]
    template: dict[str, Any]
    parent: str | None
    path: Path


@dataclass(slots=True)
class RawEdge:
    """One edge of the flattened graph: where it starts and leads, before anything is checked."""

    source: str
    target: str
    start: Handle
    end: Handle


@dataclass(slots=True)
class _Group:
    """What is needed to find the inner end of an edge that ends at a group."""

    inner_ids: dict[str, str]
    targets: dict[str, tuple[str, str]]
    outputs: dict[str, tuple[str, str]]
    last: str | None


@dataclass(slots=True)
class _Scope:
    """One flow on the way down: the outermost one, or that of a group."""

    graph: Mapping[str, Any]
    path: Path
    parent: str | None
    overlay: dict[str, dict[str, Any]]


@dataclass(slots=True)
class Flattened:
    """The graph of an export on one level; ``notes`` are the ids of sticky notes, which run nothing."""

    nodes: list[Node] = field(default_factory=list)
    edges: list[RawEdge] = field(default_factory=list)
    notes: set[str] = field(default_factory=set)


def flatten(graph: Mapping[str, Any], path: Path = ()) -> Flattened:
    """Return all nodes and edges of an export on one level, notes left out.

    A group's inner nodes keep their ids (as the reference server does) unless one is taken; the
    values on the group's face replace those inside; edges at a group lead to what is inside.

    :raises FlowInvalid: naming the place of a node or edge that cannot be read, or an id that stands twice.
    """
    found = Flattened()
    groups: dict[str, _Group] = {}
    taken: set[str] = set()
    waiting = [_Scope(graph, path, None, {})]
    edges: list[tuple[RawEdge, dict[str, str]]] = []
    while waiting:
        scope = waiting.pop()
        ids: dict[str, str] = {}
        for raw, node_path in _objects(scope.graph, "nodes", scope.path):
            node = _read_node(raw, node_path, scope)
            if node.id in ids or (node.id in taken and scope.parent is None):
                raise FlowInvalid(f"{place(*node_path)}: duplicate id {node.id!r}.")
            local = node.id
            node.id = ids[local] = _free_id(local, scope.parent, taken)
            taken.add(node.id)
            inner = _inner_flow(raw)
            if _is_note(raw):
                found.notes.add(node.id)
            elif inner is None:
                found.nodes.append(node)
            else:
                overlay, targets = _read_face(node.template)
                groups[node.id] = _Group({}, targets, _face_outputs(raw), None)
                waiting.append(_Scope(inner, (*node_path, "data", "node", "flow", "data"), node.id, overlay))
        scope_edges = [_read_edge(raw, edge_path) for raw, edge_path in _objects(scope.graph, "edges", scope.path)]
        edges.extend((edge, ids) for edge in scope_edges)
        if scope.parent is not None:
            groups[scope.parent].inner_ids = ids
            groups[scope.parent].last = _last_vertex(ids, scope_edges, found.notes)
    for edge, ids in edges:
        edge.source, edge.target = ids.get(edge.source, edge.source), ids.get(edge.target, edge.target)
        _step_inside(edge, groups)
        found.edges.append(edge)
    return found


def _objects(graph: Mapping[str, Any], key: str, path: Path) -> Iterator[tuple[Mapping[str, Any], Path]]:
    entries = graph.get(key)
    if entries is None:
        return
    if not isinstance(entries, list):
        raise FlowInvalid(f"{place(*path, key)}: must be a list.")
    for index, entry in enumerate(entries):
        if not isinstance(entry, Mapping):
            raise FlowInvalid(f"{place(*path, key, index)}: must be an object.")
        yield entry, (*path, key, index)


def _read_node(raw: Mapping[str, Any], path: Path, scope: _Scope) -> Node:
    data = raw.get("data")
    node_id = raw.get("id") or (data.get("id") if isinstance(data, Mapping) else None)
    if isinstance(node_id, int) and not isinstance(node_id, bool):
        node_id = str(node_id)
    if not isinstance(node_id, str) or not node_id:
        raise FlowInvalid(f"{place(*path, 'id')}: the node has no id.")
    template = inner_node(raw).get("template")
    own = dict(template) if isinstance(template, Mapping) else {}
    for name, value in scope.overlay.get(node_id, {}).items():
        entry = own.get(name)
        own[name] = {**entry, **value} if isinstance(entry, Mapping) else value
    return Node(node_id, raw, own, scope.parent, path)


def inner_node(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return ``data.node`` of a node, empty where there is none."""
    data = raw.get("data")
    node = data.get("node") if isinstance(data, Mapping) else None
    return node if isinstance(node, Mapping) else {}


def _inner_flow(raw: Mapping[str, Any]) -> Mapping[str, Any] | None:
    flow = inner_node(raw).get("flow")
    graph = flow.get("data", flow) if isinstance(flow, Mapping) else None
    return graph if isinstance(graph, Mapping) and graph.get("nodes") else None


def _is_note(raw: Mapping[str, Any]) -> bool:
    data = raw.get("data")
    kind = data.get("type") if isinstance(data, Mapping) else None
    return raw.get("type") == "noteNode" or kind in ("note", "noteNode")


def _free_id(local: str, parent: str | None, taken: set[str]) -> str:
    """Return the id itself, or one that says in which group it stands where it is taken."""
    if local not in taken:
        return local
    made = f"{parent}/{local}"
    number = 2
    while made in taken:
        made, number = f"{parent}/{local}#{number}", number + 1
    return made


def _read_face(template: Mapping[str, Any]) -> tuple[dict[str, dict[str, Any]], dict[str, tuple[str, str]]]:
    """Sort the fields of a group by the inner vertex that they stand for."""
    overlay: dict[str, dict[str, Any]] = {}
    targets: dict[str, tuple[str, str]] = {}
    for name, entry in template.items():
        proxy = entry.get("proxy") if isinstance(entry, Mapping) else None
        if not isinstance(proxy, Mapping):
            continue
        vertex, inner_name = proxy.get("id"), proxy.get("field")
        if isinstance(vertex, str) and isinstance(inner_name, str):
            targets[name] = (vertex, inner_name)
            # The inner entry keeps its own proxy: it leads one group further down.
            overlay.setdefault(vertex, {})[inner_name] = {k: v for k, v in entry.items() if k not in ("proxy", "name")}
    return overlay, targets


def _face_outputs(raw: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    outputs = inner_node(raw).get("outputs")
    found: dict[str, tuple[str, str]] = {}
    for output in outputs if isinstance(outputs, list) else ():
        proxy = output.get("proxy") if isinstance(output, Mapping) else None
        if isinstance(proxy, Mapping) and all(isinstance(proxy.get(key), str) for key in ("id", "name")):
            found[str(output.get("name"))] = (proxy["id"], proxy["name"])
    return found


def _read_edge(raw: Mapping[str, Any], path: Path) -> RawEdge:
    start, end = read_source(raw), read_target(raw)
    ids = []
    for key, handle in (("source", start), ("target", end)):
        found = raw.get(key) or handle.vertex
        if isinstance(found, int) and not isinstance(found, bool):
            found = str(found)
        if not isinstance(found, str) or not found:
            raise FlowInvalid(f"{place(*path, key)}: the edge names no node.")
        ids.append(found)
    return RawEdge(ids[0], ids[1], start, end)


def _last_vertex(ids: Mapping[str, str], edges: list[RawEdge], notes: set[str]) -> str | None:
    """Return the one vertex of a group from which no edge leads on, if there is exactly one."""
    sources = {edge.source for edge in edges}
    ends = [global_id for local, global_id in ids.items() if local not in sources and global_id not in notes]
    return ends[0] if len(ends) == 1 else None


def _step_inside(edge: RawEdge, groups: Mapping[str, _Group]) -> None:
    """Lead an edge that ends at a group to the vertex inside, through as many groups as there are."""
    while (group := groups.get(edge.source)) is not None:
        name = edge.start.name
        inner = edge.start.inner or (group.outputs.get(name) if name else None)
        vertex = group.inner_ids.get(inner[0]) if inner else group.last
        if vertex is None or vertex == edge.source:
            break
        edge.source = vertex
        edge.start = Handle(inner[1] if inner else None, edge.start.types)
    while (group := groups.get(edge.target)) is not None:
        name = edge.end.name
        inner = (group.targets.get(name) if name else None) or edge.end.inner
        vertex = group.inner_ids.get(inner[0]) if inner else None
        if inner is None or vertex is None or vertex == edge.target:
            break
        edge.target = vertex
        edge.end = Handle(inner[1], edge.end.types)
