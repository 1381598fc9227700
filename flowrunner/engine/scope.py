"""Which vertices of a plan run, in what order, and which of them read the input text."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any, Final

from flowrunner.engine.planned import PlannedVertex
from flowrunner.flows.declared import told_by

#: The most chat outputs that may show the text of one vertex; a malicious flow could have thousands.
MOST_STREAM_TARGETS: Final = 16


def find_scope(planned: Sequence[PlannedVertex], warnings: list[str]) -> list[int]:
    """Return the positions of vertices that run: reachable from the start, and all their ancestors.

    :param warnings: a list to which a sentence is added for each vertex that is left out.
    """
    start = find_start(planned)
    if start is None:
        inside = set(range(len(planned)))
    else:
        inside = _closure([start], lambda i: (e.target for e in planned[i].outgoing))
        inside = _closure(inside, lambda i: (e.source for e in planned[i].incoming))
    for vertex in planned:
        if vertex.index not in inside:
            name = f"{vertex.display_name} ({vertex.vertex.id})"
            warnings.append(f"{name} is not connected to the flow's input, so it does not run.")
        elif _lacks_input(vertex):
            inside.discard(vertex.index)
            name = f"{vertex.display_name} ({vertex.vertex.id})"
            warnings.append(f"{name} has nothing connected to its input, so it does not run.")
    return sorted(inside)


def _lacks_input(planned: PlannedVertex) -> bool:
    """Return whether an output has neither an edge nor a value."""
    if not planned.is_output or planned.component.output_kind is None or planned.variables:
        return False
    return any(name not in planned.connected and planned.values[name] in ("", None, []) for name in planned.required)


def find_start(planned: Sequence[PlannedVertex]) -> int | None:
    """Return the position of the vertex where a run starts: a webhook, else a chat input; None if there is neither."""
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


def stuck_in_circles(planned: Sequence[PlannedVertex]) -> list[int]:
    """Return the positions of vertices that would never run: members of cycles, and vertices that wait for them."""
    waiting = [sum(not edge.back for edge in vertex.incoming) for vertex in planned]
    ready = [index for index, count in enumerate(waiting) if count == 0]
    done = 0
    while ready:
        done += 1
        for edge in planned[ready.pop()].outgoing:
            if not edge.back:
                waiting[edge.target] -= 1
                if waiting[edge.target] == 0:
                    ready.append(edge.target)
    return [index for index, count in enumerate(waiting) if count > 0] if done < len(planned) else []


def find_stream_targets(planned: Sequence[PlannedVertex]) -> None:
    """Find the chat outputs that may show the text of each vertex, and so get its tokens.

    Behind a router there may be several; the one that runs takes over the tokens. At most
    :data:`MOST_STREAM_TARGETS` are considered per vertex.
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
            passing = told_by(target.component, target.vertex, "streams_through_with", target.values)
            for edge in target.incoming:
                if edge.source not in seen and edge.input in passing:
                    seen.add(edge.source)
                    todo.append(planned[edge.source])


def mark_watched(planned: Sequence[PlannedVertex]) -> None:
    """Mark the frozen vertices and all their predecessors as watched."""
    todo = [vertex for vertex in planned if vertex.vertex.frozen]
    for vertex in todo:
        vertex.watched = True
    while todo:
        for edge in todo.pop().incoming:
            source = planned[edge.source]
            if not source.watched:
                source.watched = True
                todo.append(source)
