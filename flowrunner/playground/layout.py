"""Layout of a drawn flow: the positions in the file, else layers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

from flowrunner.flows.model import Edge, Flow, Vertex

WIDTH: Final = 190
HEIGHT: Final = 62
MARGIN: Final = 24

_COLUMN: Final = WIDTH + 70
_ROW: Final = HEIGHT + 30
#: The author's boxes are larger than ours.
_SCALE: Final = 0.6
_LARGEST: Final = 12_000.0

Places = Mapping[str, tuple[float, float]]


def place_vertices(flow: Flow) -> Places:
    """Return the upper left corner of each vertex's box, by id, the drawing's corner being (0, 0)."""
    return _from_file(flow.vertices) or _in_layers(flow.vertices, flow.edges)


def _from_file(vertices: Sequence[Vertex]) -> Places | None:
    """Return the places of the file; None if one is lacking, is out of bounds, or would hide another."""
    found: dict[str, tuple[float, float]] = {}
    for vertex in vertices:
        if vertex.position is None or not all(map(math.isfinite, vertex.position)):
            return None
        found[vertex.id] = (vertex.position[0] * _SCALE, vertex.position[1] * _SCALE)
    if not found:
        return found
    left, top = min(x for x, _ in found.values()), min(y for _, y in found.values())
    moved = {name: (x - left + MARGIN, y - top + MARGIN) for name, (x, y) in found.items()}
    if any(max(place) > _LARGEST for place in moved.values()) or _overlap(moved):
        return None
    return moved


def _overlap(places: Places) -> bool:
    ordered = sorted(places.values())
    for number, (x, y) in enumerate(ordered):
        for other_x, other_y in ordered[number + 1 :]:
            if other_x - x >= WIDTH + 8:
                break
            if abs(other_y - y) < HEIGHT + 8:
                return True
    return False


def _in_layers(vertices: Sequence[Vertex], edges: Sequence[Edge]) -> Places:
    """Put each vertex to the right of all that feed it; within a layer, near what feeds it."""
    depths = _depths(vertices, edges)
    sources: dict[str, list[str]] = {}
    for edge in edges:
        sources.setdefault(edge.target, []).append(edge.source)
    layers: dict[int, list[str]] = {}
    for vertex in vertices:
        layers.setdefault(depths[vertex.id], []).append(vertex.id)
    rows: dict[str, float] = {}
    places: dict[str, tuple[float, float]] = {}
    tallest = max((len(layer) for layer in layers.values()), default=0)
    for depth in sorted(layers):
        layer = layers[depth]
        order = {name: number for number, name in enumerate(layer)}
        layer.sort(key=lambda name: _mean([rows[s] for s in sources.get(name, ()) if s in rows], order[name]))
        first = (tallest - len(layer)) / 2
        for number, name in enumerate(layer):
            rows[name] = first + number
            places[name] = (MARGIN + depth * _COLUMN, MARGIN + rows[name] * _ROW)
    return places


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _depths(vertices: Sequence[Vertex], edges: Sequence[Edge]) -> dict[str, int]:
    """Return the length of the longest way to each vertex; what stands in a circle counts as a start."""
    depths = {vertex.id: 0 for vertex in vertices}
    known = [e for e in edges if e.source in depths and e.target in depths and not e.feedback]
    waiting = dict.fromkeys(depths, 0)
    leaving: dict[str, list[str]] = {}
    for edge in known:
        waiting[edge.target] += 1
        leaving.setdefault(edge.source, []).append(edge.target)
    ready = [name for name, count in waiting.items() if count == 0]
    while ready:
        name = ready.pop()
        for target in leaving.get(name, ()):
            depths[target] = max(depths[target], depths[name] + 1)
            waiting[target] -= 1
            if waiting[target] == 0:
                ready.append(target)
    return depths
