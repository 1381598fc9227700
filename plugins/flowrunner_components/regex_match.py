"""Matching a regular expression in bounded time.

Python's own matcher tries one way after the other and can take longer than anybody waits: a
pattern and a text that a client sends could hold a worker for ever. This one walks the text once
and keeps all ways at a time, so the work is at most the length of the text times the size of the
pattern, and a budget bounds even that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from .regex_parse import Node, Test, parse

MAX_STEPS: Final = 3_000_000
MAX_SIZE: Final = 3_000

_DONE: Final = 0


@dataclass(slots=True)
class _State:
    """A place in the pattern: what it wants, and where it leads."""

    test: Test | None = None
    place: str = ""
    nexts: tuple[int, ...] = ()


def matches_start(pattern: str, text: str, *, ignore_case: bool = False) -> bool:
    """Say whether a text begins with what a regular expression describes.

    :raises ValueError: if the pattern cannot be read, is too large, or the work is too much.
    """
    states = [_State()]
    start = _build(states, parse(pattern, ignore_case=ignore_case), _DONE)
    current = _reach(states, [start], text, 0)
    left = MAX_STEPS
    for position, char in enumerate(text):
        if not current or _DONE in current:
            break
        left -= len(current)
        if left < 0:
            raise ValueError("the regular expression takes too long on this text")
        moved = [n for i in current if (test := states[i].test) is not None and test(char) for n in states[i].nexts]
        current = _reach(states, moved, text, position + 1)
        left -= len(current)
    return _DONE in current


def _reach(states: list[_State], start: list[int], text: str, position: int) -> set[int]:
    """Return the states that are reached without taking a character."""
    found: set[int] = set()
    todo = start
    while todo:
        index = todo.pop()
        if index in found:
            continue
        state = states[index]
        if state.place and not _holds(state.place, text, position):
            continue
        found.add(index)
        if state.test is None:
            todo.extend(state.nexts)
    return found


def _build(states: list[_State], node: Node, after: int) -> int:
    """Add the states of a part that leads to ``after``; return where the part begins."""
    if node.kind == "char":
        return _add(states, _State(node.test, nexts=(after,)))
    if node.kind == "place":
        return _add(states, _State(place=node.place, nexts=(after,)))
    if node.kind == "all":
        for part in reversed(node.parts):
            after = _build(states, part, after)
        return after
    if node.kind == "any":
        return _add(states, _State(nexts=tuple(_build(states, part, after) for part in node.parts)))
    part = node.parts[0]
    if node.high is None:
        loop = _add(states, _State())
        states[loop].nexts = (_build(states, part, loop), after)
        after = loop
    else:
        end = after
        for _ in range(node.high - node.low):
            after = _add(states, _State(nexts=(_build(states, part, after), end)))
    for _ in range(node.low):
        after = _build(states, part, after)
    return after


def _add(states: list[_State], state: _State) -> int:
    if len(states) >= MAX_SIZE:
        raise ValueError(f"the regular expression is too large: more than {MAX_SIZE} places when written out")
    states.append(state)
    return len(states) - 1


def _holds(place: str, text: str, position: int) -> bool:
    """Say whether a position is what an anchor wants."""
    before, here = text[position - 1 : position] if position else "", text[position : position + 1]
    if place == "start":
        return position == 0
    if place == "end":
        return not here
    if place == "last":
        return not here or (here == "\n" and position + 1 == len(text))
    if place == "line start":
        return not before or before == "\n"
    if place == "line last":
        return not here or here == "\n"
    edge = _is_word(before) != _is_word(here)
    return edge if place == "edge" else not edge


def _is_word(char: str) -> bool:
    return char.isalnum() or char == "_"
