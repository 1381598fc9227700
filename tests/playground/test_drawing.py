"""A flow drawn: well-formed whatever its file says, its boxes apart, its edges where they belong."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree

import pytest

from flowrunner.flows.model import Edge, Flow, Vertex
from flowrunner.playground.drawing import draw_flow
from flowrunner.playground.layout import HEIGHT, WIDTH, place_vertices
from tests.playground.hostile import hostile_texts

SVG = "{http://www.w3.org/2000/svg}"
_ELEMENTS = {"svg", "title", "defs", "marker", "path", "g", "rect", "circle", "text"}


def flow_of(edges, names="abcd", positions=None, name="Flow"):
    vertices = tuple(Vertex(n, "ChatInput", position=(positions or {}).get(n)) for n in names)
    return Flow("f", name, vertices, tuple(Edge(s, "out", t, "in") for s, t in edges))


def apart(places):
    spots = list(places.values())
    return all(
        abs(x1 - x2) >= WIDTH or abs(y1 - y2) >= HEIGHT for n, (x1, y1) in enumerate(spots) for x2, y2 in spots[n + 1 :]
    )


def test_layers_go_from_left_to_right():
    places = place_vertices(flow_of([("a", "b"), ("b", "c"), ("a", "c"), ("c", "d")]))
    assert [x for x, _ in places.values()] == sorted(x for x, _ in places.values())
    assert apart(places)


def test_positions_of_the_file_are_kept():
    positions = {"a": (0, 0), "b": (500, 400), "c": (1000, 0), "d": (-400, -300)}
    places = place_vertices(flow_of([], positions=positions))
    by_x = sorted(places, key=lambda name: places[name][0])
    assert by_x == ["d", "a", "b", "c"]
    assert min(x for x, _ in places.values()) > 0
    assert apart(places)


@pytest.mark.parametrize(
    "spot", [(math.nan, 0), (math.inf, 0), (1e300, 0), (0, -1e12), (10, 10)], ids=["nan", "inf", "far", "low", "hidden"]
)
def test_positions_that_cannot_be_used_give_layers(spot):
    positions = {"a": (0, 0), "b": spot, "c": (1000, 0), "d": (2000, 0)}
    places = place_vertices(flow_of([("a", "b")], positions=positions))
    assert all(0 <= x < 2000 and 0 <= y < 2000 for x, y in places.values())
    assert apart(places)


def test_circles_and_edges_from_nowhere_are_drawn_without_harm():
    flow = flow_of([("a", "b"), ("b", "a"), ("a", "a"), ("x", "a"), ("a", "y")])
    drawn = ElementTree.fromstring(draw_flow(flow))
    assert len(drawn.findall(f".//{SVG}path[@data-edge]")) == 3
    assert len(drawn.findall(f".//{SVG}g[@data-vertex]")) == 4


def test_a_flow_without_components_is_drawn():
    assert ElementTree.fromstring(draw_flow(flow_of([], names=""))).tag == f"{SVG}svg"


def test_a_long_chain_is_drawn():
    names = [f"v{n}" for n in range(1000)]
    vertices = tuple(Vertex(n, "X") for n in names)
    edges = tuple(Edge(a, "o", b, "i") for a, b in zip(names, names[1:], strict=False))
    assert draw_flow(Flow("f", "Long", vertices, edges)).count("<rect") == 1000


@pytest.mark.parametrize("text", hostile_texts())
def test_hostile_names_are_text(text):
    vertices = (Vertex(text, text, display_name=text), Vertex("b", "B"))
    flow = Flow("f", text, vertices, (Edge(text, text, "b", text),))
    drawn = ElementTree.fromstring(draw_flow(flow, {"b": text}))
    for element in drawn.iter():
        assert element.tag.removeprefix(SVG) in _ELEMENTS
        assert not any(name.startswith("on") or name in ("style", "href") for name in element.attrib)


def test_what_lies_far_apart_is_moved_together_and_stays_in_its_order():
    positions = {name: (500 * (number % 2), 700 * number) for number, name in enumerate("abcd")}
    places = place_vertices(flow_of([], positions=positions))
    assert sorted(places, key=lambda name: places[name][1]) == list("abcd")
    assert apart(places)
    assert max(y for _, y in places.values()) < 700 * 3 * 0.3
    # What is wide keeps its height, up to the shape of a window.
    wide = {name: (2000 * number, 300 * (number % 2)) for number, name in enumerate("abcd")}
    assert max(y for _, y in place_vertices(flow_of([], positions=wide)).values()) > 150


def test_a_long_chain_is_folded_and_a_short_one_is_not():
    for count, bands in ((10, 1), (60, 8), (300, 18)):
        names = [f"v{number}" for number in range(count)]
        places = place_vertices(flow_of(list(zip(names, names[1:], strict=False)), names=names))
        assert len({y for _, y in places.values()}) == bands
        assert apart(places)
        width, height = max(x for x, _ in places.values()), max(y for _, y in places.values())
        assert bands == 1 or 0.8 < (width + WIDTH) / (height + HEIGHT) < 3


def test_edges_that_lead_back_stay_within_the_drawing():
    names = [f"v{number}" for number in range(60)]
    edges = list(zip(names, names[1:], strict=False))
    drawn = ElementTree.fromstring(draw_flow(flow_of(edges, names=names)))
    width, height = float(drawn.get("width")), float(drawn.get("height"))
    for path in drawn.findall(f".//{SVG}path[@data-edge]"):
        numbers = [float(number) for number in re.findall(r"-?[\d.]+", path.get("d"))]
        assert all(-10 <= x <= width + 10 for x in numbers[::2])
        assert all(0 <= y <= height for y in numbers[1::2])


def test_many_boxes_one_above_the_other_are_compared_in_proportion_to_their_number():
    names = [f"v{number}" for number in range(5000)]
    positions = {name: (0, 0.1 + 0.0001 * number) for number, name in enumerate(names)}
    assert len(place_vertices(flow_of([], names=names, positions=positions))) == 5000
