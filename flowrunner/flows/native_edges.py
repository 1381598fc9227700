"""Edges in the native format: ``"question.message -> prompt.question"``, or an equivalent object."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, Final

from flowrunner.errors import FlowInvalid
from flowrunner.flows import findings as codes
from flowrunner.flows.langflow import types_meet, unfit_edge
from flowrunner.flows.model import Edge, Finding, Vertex
from flowrunner.flows.parsing import Path, place
from flowrunner.flows.shape import check_keys, read_texts

ARROW: Final = "->"

EDGE_KEYS: Final = {
    "source": "string",
    "output": "string",
    "target": "string",
    "input": "string",
    "output_types": "array",
    "input_types": "array",
    "feedback": "boolean",
}

#: An edge that is longer or has more dots than this is not an edge; trying them all would take too long.
_MAX_LENGTH, _MAX_DOTS = 4000, 64
#: So many hints are given and so many names compared for one; a flow of thousands of mistakes gets no more.
_MAX_HINTS, _MAX_NAMES = 10, 1000


class EdgeReader:
    """Reads the edges of one flow, whose vertices it knows.

    :param vertices: by id.
    :param noticed: gets what is found on the way.
    """

    def __init__(self, vertices: Mapping[str, Vertex], noticed: list[Finding]) -> None:
        self._vertices = vertices
        self._noticed = noticed
        self._hints = 0

    def read(self, entry: Any, path: Path) -> Edge | None:
        """Return an edge, or None where it names a component that is not there (which becomes a finding).

        :raises FlowInvalid: naming the key path, if it is not an edge.
        """
        edge = self._from_text(entry, path) if isinstance(entry, str) else self._from_object(entry, path)
        if edge is None:
            return None
        for name in (edge.source, edge.target):
            if name not in self._vertices:
                self._miss(name, path)
                return None
        if not types_meet(edge.output_types, edge.input_types):
            self._noticed.append(unfit_edge(edge, self._vertices[edge.source], self._vertices[edge.target]))
        return edge

    def _from_object(self, entry: Any, path: Path) -> Edge:
        check_keys(entry, EDGE_KEYS, path)
        for key in ("source", "target"):
            if not entry.get(key):
                raise FlowInvalid(f"{place(*path, key)}: the edge names no component.")
        return Edge(
            source=entry["source"],
            output=entry.get("output") or None,
            target=entry["target"],
            input=entry.get("input", ""),
            output_types=read_texts(entry.get("output_types", []), (*path, "output_types")),
            input_types=read_texts(entry.get("input_types", []), (*path, "input_types")),
            feedback=entry.get("feedback", False),
        )

    def _from_text(self, text: str, path: Path) -> Edge | None:
        sides = split_sides(text)
        if sides is None:
            raise FlowInvalid(
                f'{place(*path)}: an edge is written "component.output -> component.input";'
                " where a name has an arrow or many dots in it, as an object with source, output, target and input."
            )
        ends = [self._end(side.strip(), path) for side in sides]
        if ends[0] is None or ends[1] is None:
            return None
        (source, output), (target, wanted) = ends[0], ends[1]
        return Edge(source, output or None, target, wanted)

    def _end(self, text: str, path: Path) -> tuple[str, str] | None:
        """Split ``component.port`` where a component ends; names of components may have dots in them."""
        found = split_end(text, self._vertices)
        if len(found) > 1:
            raise FlowInvalid(
                f"{place(*path)}: {text!r} is ambiguous ({len(found)} readings);"
                " write the edge as an object with source, output, target and input."
            )
        if not found:
            self._miss(text.rpartition(".")[0] or text, path)
            return None
        return found[0]

    def _miss(self, name: str, path: Path) -> None:
        hint = ""
        if self._hints < _MAX_HINTS and len(self._vertices) <= _MAX_NAMES:
            self._hints += 1
            near = difflib.get_close_matches(name[:60], [known[:60] for known in self._vertices], n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
        message = f"Vertex {name[:200]} not found; {place(*path)} names it.{hint}"
        self._noticed.append(Finding(codes.MISSING_VERTEX, message, vertex=name, level="error"))


def split_sides(text: str) -> list[str] | None:
    """Return both sides of an edge as text, or None if it is no such text."""
    if len(text) > _MAX_LENGTH or text.count(".") > _MAX_DOTS:
        return None
    sides = text.split(ARROW)
    return sides if len(sides) == 2 else None


def split_end(text: str, vertices: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return every way to read a text as a component and its port; the port is empty where none is named."""
    found = [(text, "")] if text in vertices else []
    at = text.find(".")
    while at != -1:
        if text[:at] in vertices and at + 1 < len(text):
            found.append((text[:at], text[at + 1 :]))
        at = text.find(".", at + 1)
    return found
