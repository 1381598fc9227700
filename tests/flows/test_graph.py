"""Circles, against a slow and simple way to find them."""

from hypothesis import given
from hypothesis import strategies as st

from flowrunner.flows.graph import find_circles, find_isolated
from flowrunner.flows.model import Edge, Flow, Vertex

PAIRS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=14)


def flow(pairs, feedback=()):
    vertices = tuple(Vertex(str(number), "T") for number in range(7))
    edges = [Edge(str(a), None, str(b), "x") for a, b in pairs]
    edges += [Edge(str(a), None, str(b), "x", feedback=True) for a, b in feedback]
    return Flow("id", "name", vertices, tuple(edges))


def reached(pairs, start):
    found, todo = set(), [start]
    while todo:
        here = todo.pop()
        for a, b in pairs:
            if a == here and b not in found:
                found.add(b)
                todo.append(b)
    return found


@given(PAIRS, PAIRS)
def test_circles(pairs, feedback):
    reach = {start: reached(pairs, start) for start in range(7)}
    wanted = {frozenset(str(b) for b in reach[a] if a in reach[b]) for a in reach if a in reach[a]}
    found = find_circles(flow(pairs, feedback))
    assert {frozenset(group) for group in found} == wanted
    assert len(found) == len(wanted)
    assert all(group == sorted(group) for group in found)


@given(PAIRS)
def test_isolated(pairs):
    ends = {str(end) for pair in pairs for end in pair}
    assert find_isolated(flow(pairs)) == {str(number) for number in range(7)} - ends
