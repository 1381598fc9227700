"""Which vertices of a plan run, in which order they can, and where their text is read."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any, Final

from flowrunner.engine.planned import PlannedVertex
from flowrunner.errors import FlowInvalid

#: So many chat outputs may show the text of one vertex; a flow made to be slow could have thousands.
MOST_STREAM_TARGETS: Final = 16


def find_scope(planned: Sequence[PlannedVertex], warnings: list[str]) -> list[int]:
    """Return the positions of vertices that run: reachable from the start, and all their ancestors.

    :param warnings: gets a sentence for each vertex that is left out.
    """
    start = _start(planned)
    if start is None:
        inside = set(range(len(planned)))
    else:
        inside = _closure([start], lambda i: (e.target for e in planned[i].outgoing))
        inside = _closure(inside, lambda i: (e.source for e in planned[i].incoming))
    for vertex in planned:
        if vertex.index not in inside:
            name = f"{vertex.display_name} ({vertex.vertex.id})"
            warnings.append(f"{name} is an island: nothing that starts the flow leads to it, so it does not run.")
        elif _lacks_input(vertex):
            inside.discard(vertex.index)
            name = f"{vertex.display_name} ({vertex.vertex.id})"
            warnings.append(f"{name} has nothing connected to its input, so it does not run.")
    return sorted(inside)


def _lacks_input(planned: PlannedVertex) -> bool:
    """Say whether an output has neither an edge nor a value to show."""
    if not planned.is_output or planned.component.output_kind is None or planned.variables:
        return False
    return any(name not in planned.connected and planned.values[name] in ("", None, []) for name in planned.required)


def _start(planned: Sequence[PlannedVertex]) -> int | None:
    inputs = [v for v in planned if v.is_input]
    for kind in ("webhook", "chat"):
        for vertex in inputs:
            if kind in vertex.vertex.id.lower() or vertex.component.input_kind == kind:
                return vertex.index
    return None


def _closure(start: Iterable[int], nexts: Any) -> set[int]:
    found, todo = set(start), list(start)
    while todo:
        for index in nexts(todo.pop()):
            if index not in found:
                found.add(index)
                todo.append(index)
    return found


def refuse_circles(planned: Sequence[PlannedVertex]) -> None:
    """Refuse vertices that wait for each other.

    :raises FlowInvalid: naming them.
    """
    waiting = [len(vertex.incoming) for vertex in planned]
    ready = [index for index, count in enumerate(waiting) if count == 0]
    done = 0
    while ready:
        done += 1
        for edge in planned[ready.pop()].outgoing:
            waiting[edge.target] -= 1
            if waiting[edge.target] == 0:
                ready.append(edge.target)
    if done < len(planned):
        stuck = [vertex for vertex in planned if waiting[vertex.index] > 0]
        names = ", ".join(f"{v.display_name} ({v.vertex.id})" for v in stuck[:8])
        raise FlowInvalid(f"These components wait for each other in a circle and can never run: {names}.")


def find_stream_targets(planned: Sequence[PlannedVertex]) -> None:
    """Find, for each vertex, the chat outputs that may show its text: there its tokens go.

    Behind a router there are several, of which the one that runs in the end takes the tokens over;
    at most :data:`MOST_STREAM_TARGETS` are kept for a vertex.
    """
    for output in planned:
        if output.component.output_kind != "chat":
            continue
        seen, todo = {output.index}, deque([output])
        while todo:
            target = todo.popleft()
            if len(target.stream_targets) >= MOST_STREAM_TARGETS:
                continue
            target.stream_targets += (output.index,)
            passing = target.component.streams_through_with(target.values)
            for edge in target.incoming:
                if edge.source not in seen and edge.input in passing:
                    seen.add(edge.source)
                    todo.append(planned[edge.source])
