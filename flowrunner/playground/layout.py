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
#: The boxes of authors are larger than ours, and far higher: what is drawn is moved together until it nearly touches.
_SCALE: Final = 0.6
_SCALES_DOWN: Final = (0.15, 0.2, 0.3, 0.4, 0.5, 0.6)
#: Columns side by side at least, before the rest is drawn below them.
_LEAST_COLUMNS: Final = 8
_FOLD_GAP: Final = 40
#: How many times its height a window is wide.
_ASPECT: Final = 1.7
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
        found[vertex.id] = vertex.position
    if not found:
        return found
    left, top = min(x for x, _ in found.values()), min(y for _, y in found.values())
    best: Places | None = None
    for scale in _SCALES_DOWN:
        moved = {name: ((x - left) * _SCALE + MARGIN, (y - top) * scale + MARGIN) for name, (x, y) in found.items()}
        if any(max(place) > _LARGEST for place in moved.values()):
            break
        if not _overlap(moved):
            best = moved
            # Higher than a window is wide it need not become.
            if max(y for _, y in moved.values()) * _ASPECT >= max(x for x, _ in moved.values()):
                break
    return best


def _overlap(places: Places) -> bool:
    """Return whether two boxes touch, or all but do."""
    wide, high = WIDTH + 8, HEIGHT + 8
    cells: dict[tuple[int, int], tuple[float, float]] = {}
    for x, y in places.values():
        column, row = int(x // wide), int(y // high)
        # Whoever touches it stands in its own cell or in one beside it, and no cell holds two.
        for cell in ((column + dx, row + dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1)):
            other = cells.get(cell)
            if other is not None and abs(other[0] - x) < wide and abs(other[1] - y) < high:
                return True
        cells[column, row] = (x, y)
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
    bands = _bands(layers)
    for depth in sorted(layers):
        column, top, tallest = bands[depth]
        layer = layers[depth]
        order = {name: number for number, name in enumerate(layer)}
        layer.sort(key=lambda name: _mean([rows[s] for s in sources.get(name, ()) if s in rows], order[name]))
        first = (tallest - len(layer)) / 2
        for number, name in enumerate(layer):
            rows[name] = first + number
            places[name] = (MARGIN + column * _COLUMN, MARGIN + top + rows[name] * _ROW)
    return places


def _bands(layers: Mapping[int, Sequence[str]]) -> dict[int, tuple[int, float, int]]:
    """Fold layers into bands, one below the other, where they would be far wider than high, as those of a long chain.

    :returns: by layer its column, where its band begins, and how many rows that has.
    """
    count, most = len(layers), max((len(layer) for layer in layers.values()), default=0)
    # So many that the whole has about the shape of a window.
    columns = math.ceil(math.sqrt(_ASPECT * count * (most * _ROW + _FOLD_GAP) / _COLUMN))
    columns = max(_LEAST_COLUMNS, columns)
    if count <= columns * 1.5:
        columns = max(1, count)
    found: dict[int, tuple[int, float, int]] = {}
    top = 0.0
    for start in range(0, count, columns):
        band = range(start, min(start + columns, count))
        tallest = max(len(layers[depth]) for depth in band)
        found.update({depth: (depth - start, top, tallest) for depth in band})
        top += tallest * _ROW + _FOLD_GAP
    return found


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
