"""Which output and input of real components the ends of an edge mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from flowrunner.components import Component, Input, Output, canonical_type
from flowrunner.flows.model import Edge, Vertex

#: Outputs by which a component in tool mode hands itself to an agent; no component declares them.
TOOL_OUTPUTS: Final = ("component_as_tool", "api_build_tool")

#: Types of inputs for which the engine converts whatever arrives.
_CONVERTED: Final = frozenset({"str", "int", "float", "bool", "secret", "any"})

#: Every vertex takes a session id over an edge, whether or not its component declares it.
SESSION_INPUT: Final = Input("session_id", "str")


def find_output(component: Component, vertex: Vertex, edge: Edge, wanted: Input | None = None) -> Output | None:
    """Return the output at which an edge starts, or None if the component has none such, or several.

    An edge that names no output means the only one, else one of the types that the edge gives (as
    files of old releases do), else the only one that fits. A name that only the file knows means
    the component's only output if the file lists only one, too.

    :param wanted: the input to which the edge leads.
    """
    outputs = component.outputs_for(vertex.settings)
    name = edge.output
    if name is None:
        return _only_output(outputs, vertex, edge, wanted)
    for output in outputs:
        if name == output.name or name in output.aliases:
            return output
    if name in TOOL_OUTPUTS:
        return Output(name, "Tool")
    if len(outputs) == 1 and [port.name for port in vertex.listed_outputs] == [name]:
        return outputs[0]
    return None


def _only_output(outputs: Sequence[Output], vertex: Vertex, edge: Edge, wanted: Input | None) -> Output | None:
    if len(outputs) == 1:
        return outputs[0]
    given = {canonical_type(name) for name in edge.output_types}
    typed = [output for output in outputs if canonical_type(output.type) in given]
    fitting = [output for output in typed or outputs if wanted is not None and wanted.takes(output.type)]
    for output in typed or outputs:
        if output.name == vertex.selected_output:
            return output
    if typed:
        return fitting[0] if fitting else typed[0]
    return fitting[0] if len(fitting) == 1 else None


def find_input(component: Component, vertex: Vertex, name: str) -> Input | None:
    """Return the input to which an edge leads, or None if the component has none such, or several.

    :param name: as the edge has it; empty means the only input, else ``input_value``, else the
        only required one.
    """
    inputs = component.inputs_for(vertex.settings)
    if not name:
        return _only_input(inputs)
    for declared in inputs:
        if name == declared.name or name in declared.aliases:
            return declared
    return SESSION_INPUT if name == SESSION_INPUT.name else None


def takes(declared: Input, given: Output, edge: Edge) -> bool:
    """Say whether an input takes what an output gives.

    Plain values are made out of anything. What the file says of the input's types counts too:
    a newer component of the same name may take more than the one that is here declares.
    """
    if declared.takes(given.type) or declared.type in _CONVERTED:
        return True
    return any(declared.takes(name) or canonical_type(name) == canonical_type(given.type) for name in edge.input_types)


def _only_input(inputs: Sequence[Input]) -> Input | None:
    required = [declared for declared in inputs if declared.required]
    main = [declared for declared in inputs if declared.name == "input_value"]
    for candidates in (inputs, main, required):
        if len(candidates) == 1:
            return candidates[0]
    return None
