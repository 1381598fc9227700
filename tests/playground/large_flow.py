"""Flows of many components, as they are stored over the API."""

from __future__ import annotations

NAMES = ("Chat Input", "Prompt Template", "Language Model", "Conditional Router", "Message History", "Split Text")
ROWS = 6


def chain(count):
    """Return a flow in which each component feeds the next one."""
    return _flow(count, lambda number: number - 1)


def field(count, *, placed=False):
    """Return a flow of rows side by side, where its author put the components or without places."""
    return _flow(count, lambda number: max(0, number - ROWS), _place if placed else None)


def _flow(count, source, place=None):
    ids = ["ChatInput-0", *(f"ChatOutput-{number}" for number in range(1, count))]
    nodes = [_node(name, NAMES[n % len(NAMES)] + f" {n}", place and place(n)) for n, name in enumerate(ids)]
    return {"nodes": nodes, "edges": [_edge(ids[source(n)], ids[n]) for n in range(1, count)]}


def _place(number):
    """Return about where an author puts it: the boxes of their editor are 320 wide, and up to 700 high."""
    column, row = divmod(number, ROWS)
    return {"x": column * 520 + row * 40 - 900, "y": row * 680 + column * 25}


def _node(name, shown, place):
    kind = name.split("-")[0]
    template = {"input_value": {"type": "str", "value": "", "show": True}}
    inner = {"display_name": shown, "template": template, "outputs": [{"name": "message", "types": ["Message"]}]}
    return {"id": name, "data": {"id": name, "type": kind, "node": inner}, **({"position": place} if place else {})}


def _edge(source, target):
    kind = source.split("-")[0]
    start = {"dataType": kind, "id": source, "name": "message", "output_types": ["Message"]}
    end = {"fieldName": "input_value", "id": target, "inputTypes": ["Message"], "type": "str"}
    return {"source": source, "target": target, "data": {"sourceHandle": start, "targetHandle": end}}
