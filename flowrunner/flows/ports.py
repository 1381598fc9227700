"""Match the ends of an edge to the outputs and inputs of real components."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar

from flowrunner.components.contract import Component
from flowrunner.components.ports import Input, Output, canonical_type
from flowrunner.errors import FlowInvalid
from flowrunner.flows.declared import declared_inputs, declared_outputs
from flowrunner.flows.model import Edge, Flow, Vertex
from flowrunner.registry import Registry

#: Outputs by which a component in tool mode hands itself to an agent; no component declares them.
TOOL_OUTPUTS: Final = ("component_as_tool", "api_build_tool")

#: Types of inputs for which the engine converts whatever arrives.
_CONVERTED: Final = frozenset({"str", "int", "float", "bool", "secret", "any"})

#: Every vertex takes a session id over an edge, whether or not its component declares it.
SESSION_INPUT: Final = Input("session_id", "str")


def inputs_of(component: Component, vertex: Vertex, settings: Mapping[str, Any]) -> Sequence[Input]:
    """Return the inputs that a vertex has with these settings.

    :raises FlowInvalid: if the component cannot have such settings.
    """
    try:
        return declared_inputs(component, settings)
    except FlowInvalid as error:
        raise _of(vertex, error) from error


def is_absent(declared: Input, vertex: Vertex) -> bool:
    """Return whether the file of a vertex lists its fields, and this one is not among them."""
    names = (declared.name, *declared.aliases)
    known = (vertex.field_types, vertex.settings, vertex.hidden)
    return bool(vertex.field_types) and not any(name in fields for name in names for fields in known)


def outputs_of(component: Component, vertex: Vertex) -> tuple[Output, ...]:
    """Return the outputs that a vertex has: the declared ones, and for some components those that its file lists.

    :raises FlowInvalid: if the component cannot have such settings.
    """
    try:
        outputs = declared_outputs(component, vertex.settings)
    except FlowInvalid as error:
        raise _of(vertex, error) from error
    return outputs + _listed(vertex, _by_name(outputs)) if component.lists_outputs else outputs


def _of(vertex: Vertex, error: FlowInvalid) -> FlowInvalid:
    return FlowInvalid(f"{vertex.display_name or vertex.type} ({vertex.id}): {error.message}")


def number_of(ports: Sequence[Any]) -> str:
    """Return the end of a sentence on an edge that names no port: why the component does not say which is meant."""
    return "there are several" if ports else "there is none"


class VertexPorts:
    """The inputs and outputs of one vertex, asked for once: a prompt's depend on a text that may be long."""

    __slots__ = ("_by_input", "_by_output", "inputs", "outputs", "vertex")

    def __init__(self, component: Component, vertex: Vertex) -> None:
        self.vertex = vertex
        self.inputs = tuple(inputs_of(component, vertex, vertex.settings))
        self.outputs = outputs_of(component, vertex)
        self._by_input = _by_name(self.inputs)
        self._by_output = _by_name(self.outputs)

    def find_output(self, edge: Edge, wanted: Input | None = None) -> Output | None:
        """Return the output at which an edge starts, or None if the component has none such, or several.

        An edge that names no output means the only one, else one of the types that the edge gives
        (as files of old releases do), else the only one that fits. A name that only the file knows
        means the component's only output if the file lists only one, too.

        :param wanted: the input to which the edge leads.
        """
        name = edge.output
        if name is None:
            return self._only_output(edge, wanted)
        if name in self._by_output:
            return self._by_output[name]
        if name in TOOL_OUTPUTS:
            return Output(name, "Tool")
        if len(self.outputs) == 1 and [port.name for port in self.vertex.listed_outputs] == [name]:
            return self.outputs[0]
        return None

    def _only_output(self, edge: Edge, wanted: Input | None) -> Output | None:
        if len(self.outputs) == 1:
            return self.outputs[0]
        given = {canonical_type(name) for name in edge.output_types}
        typed = [output for output in self.outputs if canonical_type(output.type) in given]
        possible = typed or self.outputs
        fitting = [output for output in possible if wanted is not None and wanted.takes(output.type)]
        for output in possible:
            if output.name == self.vertex.selected_output:
                return output
        if typed:
            return fitting[0] if fitting else typed[0]
        return fitting[0] if len(fitting) == 1 else None

    def find_input(self, name: str) -> Input | None:
        """Return the input to which an edge leads, or None if the component has none such, or several.

        :param name: as the edge has it; empty means the only input, else ``input_value``, else the
            only required one.
        """
        if not name:
            return self._only_input()
        return self._by_input.get(name) or (SESSION_INPUT if name == SESSION_INPUT.name else None)

    def _only_input(self) -> Input | None:
        required = [declared for declared in self.inputs if declared.required]
        main = [declared for declared in self.inputs if declared.name == "input_value"]
        for candidates in (self.inputs, main, required):
            if len(candidates) == 1:
                return candidates[0]
        return None


_Port = TypeVar("_Port", bound="Input | Output")


def _by_name(ports: tuple[_Port, ...]) -> dict[str, _Port]:
    """Return ports by their names and older names; of two with one name, the first."""
    found: dict[str, _Port] = {}
    for port in ports:
        for name in (port.name, *port.aliases):
            found.setdefault(name, port)
    return found


def _listed(vertex: Vertex, known: Mapping[str, Output]) -> tuple[Output, ...]:
    """Return the outputs that only the file has."""
    return tuple(
        Output(port.name, canonical_type(port.types[0]) if port.types else "Message")
        for port in vertex.listed_outputs
        if port.name not in known and port.name not in TOOL_OUTPUTS
    )


class FlowPorts:
    """The ports of a flow's vertices, each looked at when it is first asked for."""

    def __init__(self, flow: Flow, registry: Registry) -> None:
        self._vertices = {vertex.id: vertex for vertex in flow.vertices}
        self._registry = registry
        self._known: dict[str, VertexPorts | None] = {}

    def of(self, vertex_id: str) -> VertexPorts | None:
        """Return the ports of a vertex, or None if nobody offers its type."""
        if vertex_id not in self._known:
            vertex = self._vertices[vertex_id]
            component = self._registry.component(vertex.type)
            try:
                self._known[vertex_id] = VertexPorts(component, vertex) if component is not None else None
            except FlowInvalid:
                self._known[vertex_id] = None  # the plan says what is wrong with it
        return self._known[vertex_id]


def takes(declared: Input, given: Output, edge: Edge) -> bool:
    """Return whether an input takes what an output gives.

    Plain values are made out of anything. What the file says of the input's types counts too:
    a newer component of the same name may take more than the one that is here declares.
    """
    if declared.takes(given.type) or declared.type in _CONVERTED:
        return True
    return any(declared.takes(name) or canonical_type(name) == canonical_type(given.type) for name in edge.input_types)
