"""Placeholders for component types that no plugin offers, so that a flow can be explained although it cannot run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from flowrunner.components.context import RunContext
from flowrunner.components.contract import Component
from flowrunner.components.ports import Input, Output
from flowrunner.engine.plan import needed_for_outputs
from flowrunner.errors import FlowInvalid
from flowrunner.flows.model import Edge, Flow
from flowrunner.flows.ports import SESSION_INPUT, TOOL_OUTPUTS
from flowrunner.registry import Registry

_USUAL_INPUT = "input_value"
_USUAL_OUTPUT = "output"


class StandIn(Component):
    """A component that takes and gives what the edges of a flow say. It is never run."""

    type_name = ""

    def __init__(self, type_name: str, edges: tuple[list[Edge], list[Edge]]) -> None:
        self._type = type_name
        incoming, outgoing = edges
        names = dict.fromkeys(edge.input or _USUAL_INPUT for edge in incoming)
        self._inputs = tuple(Input(name, "any") for name in names if name != SESSION_INPUT.name)
        self._outputs = tuple(
            Output(name)
            for name in dict.fromkeys(edge.output or _USUAL_OUTPUT for edge in outgoing)
            if name not in TOOL_OUTPUTS
        )

    def inputs_for(self, settings: Mapping[str, Any]) -> tuple[Input, ...]:
        """Return what edges bring."""
        return self._inputs

    def outputs_for(self, settings: Mapping[str, Any]) -> tuple[Output, ...]:
        """Return what edges take away."""
        return self._outputs

    def run(self, context: RunContext, /, *args: Any, **values: Any) -> Mapping[str, Any]:
        """Refuse to run.

        :raises FlowInvalid: always.
        """
        raise FlowInvalid(f"No plugin offers {self._type}.")


class _Tolerant(Registry):
    """A registry that has a stand-in for every type of a flow that it lacks."""

    def __init__(self, registry: Registry, stand_ins: Mapping[str, Component]) -> None:
        self._registry = registry
        self._stand_ins = stand_ins

    def component(self, type_name: str) -> Component | None:
        return self._registry.component(type_name) or self._stand_ins.get(type_name)


def with_stand_ins(flow: Flow, registry: Registry) -> tuple[Flow, Registry, list[str]]:
    """Return the flow and a registry with which it can be planned, and a warning for each stand-in."""
    unknown = {vertex.id: vertex.type for vertex in flow.vertices if registry.component(vertex.type) is None}
    if not unknown:
        return flow, registry, []
    edges: dict[str, tuple[list[Edge], list[Edge]]] = {name: ([], []) for name in unknown.values()}
    for edge in flow.edges:
        if edge.target in unknown:
            edges[unknown[edge.target]][0].append(edge)
        if edge.source in unknown:
            edges[unknown[edge.source]][1].append(edge)
    stand_ins = {name: StandIn(name, found) for name, found in edges.items()}
    needed = needed_for_outputs(flow, registry)
    warnings = [
        f"{vertex.shown_name} ({vertex.id}): no plugin offers {vertex.type}, so the flow "
        + (
            "cannot run; this report assumes that it passes its input on."
            if vertex.id in needed
            else "runs without it."
        )
        for vertex in flow.vertices
        if vertex.id in unknown
    ]
    named = tuple(replace(v, display_name=v.shown_name) if v.id in unknown else v for v in flow.vertices)
    # Nobody knows what a stand-in really gives, so whatever it gives is made to fit.
    fitting = tuple(
        replace(edge, output=edge.output or _USUAL_OUTPUT, input_types=(*edge.input_types, Output("").type))
        if edge.source in unknown
        else edge
        for edge in flow.edges
    )
    return replace(flow, vertices=named, edges=fitting), _Tolerant(registry, stand_ins), warnings
