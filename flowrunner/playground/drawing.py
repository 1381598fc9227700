"""Draw a flow as SVG. Text from files is escaped; the style comes from the page."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from markupsafe import Markup, escape

from flowrunner.flows.model import Edge, Flow
from flowrunner.playground.layout import HEIGHT, MARGIN, WIDTH, Places, place_vertices

#: What XML cannot hold: control characters, surrogates, and two that are not characters.
_NO_XML: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_LONGEST: Final = 24


def draw_flow(flow: Flow, names: Mapping[str, str] | None = None) -> str:
    """Return a flow as an SVG document: ``data-vertex`` and ``data-edge`` number vertices and edges as in the file.

    :param names: names of components by vertex id, where the file has none.
    """
    places = place_vertices(flow)
    numbers = {vertex.id: number for number, vertex in enumerate(flow.vertices)}
    width = max((x for x, _ in places.values()), default=0) + WIDTH + MARGIN
    height = max((y for _, y in places.values()), default=0) + HEIGHT + MARGIN
    edges = [_draw_edge(n, e, places, numbers) for n, e in enumerate(flow.edges) if {e.source, e.target} <= set(places)]
    boxes = [_draw_vertex(n, v, places[v.id], (names or {}).get(v.id)) for n, v in enumerate(flow.vertices)]
    title = _written(flow.name)
    return Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" class="flow" viewBox="0 0 {w} {h}" width="{w}" height="{h}">'
        '<title>{title}</title><defs><marker id="fr-arrow" class="arrow" viewBox="0 0 8 8" refX="7" refY="4"'
        ' markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0 8 4 0 8z"/></marker></defs>'
        "<g>{edges}</g><g>{boxes}</g></svg>\n"
    ).format(w=round(width), h=round(height), title=title, edges=Markup("").join(edges), boxes=Markup("").join(boxes))


def _draw_vertex(number: int, vertex: Any, place: tuple[float, float], name: str | None) -> Markup:
    shown = name or vertex.shown_name
    return Markup(
        '<g class="vertex" data-vertex="{n}" transform="translate({x} {y})"><title>{full}</title>'
        '<rect class="box" width="{w}" height="{h}" rx="10"/><circle class="lamp" cx="18" cy="22" r="6"/>'
        '<text class="name" x="32" y="27">{name}</text><text class="note" x="18" y="48">{kind}</text></g>'
    ).format(
        n=number,
        x=round(place[0], 1),
        y=round(place[1], 1),
        w=WIDTH,
        h=HEIGHT,
        full=f"{_written(shown)} ({_written(vertex.id)})",
        name=_short(shown),
        kind=_short(vertex.type),
    )


def _draw_edge(number: int, edge: Edge, places: Places, numbers: Mapping[str, int]) -> Markup:
    (x1, y1), (x2, y2) = places[edge.source], places[edge.target]
    x1, y1, y2 = x1 + WIDTH, y1 + HEIGHT / 2, y2 + HEIGHT / 2
    path = _forward(x1, y1, x2, y2) if x2 > x1 else _back(x1, y1, x2, y2)
    return Markup(
        '<path class="edge" data-edge="{n}" data-source="{s}" data-target="{t}" marker-end="url(#fr-arrow)"'
        ' d="{d}"><title>{title}</title></path>'
    ).format(
        n=number,
        s=numbers[edge.source],
        t=numbers[edge.target],
        d=path,
        title=_written(f"{edge.source}.{edge.output or ''} → {edge.target}.{edge.input}"),
    )


def _forward(x1: float, y1: float, x2: float, y2: float) -> str:
    bend = max(30.0, (x2 - x1) / 2)
    return f"M{x1:.1f} {y1:.1f}C{x1 + bend:.1f} {y1:.1f} {x2 - bend:.1f} {y2:.1f} {x2:.1f} {y2:.1f}"


def _back(x1: float, y1: float, x2: float, y2: float) -> str:
    """Lead an edge back, or into the next band, between the boxes and not across them."""
    between = y2 - HEIGHT / 2 - 18 if y2 >= y1 else y2 + HEIGHT / 2 + 18
    return (
        f"M{x1:.1f} {y1:.1f}C{x1 + 30:.1f} {y1:.1f} {x1 + 30:.1f} {between:.1f} {x1:.1f} {between:.1f}"
        f"L{x2:.1f} {between:.1f}C{x2 - 30:.1f} {between:.1f} {x2 - 30:.1f} {y2:.1f} {x2:.1f} {y2:.1f}"
    )


def _written(text: str) -> str:
    return escape(_NO_XML.sub("\ufffd", text))


def _short(text: str) -> str:
    line = " ".join(text.split())
    return _written(line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…")
