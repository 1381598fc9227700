"""Get the ports that a component declares for a vertex, and validate them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from flowrunner.components.contract import Component
from flowrunner.components.ports import Input, Output
from flowrunner.errors import FlowInvalid, FlowRunnerError, is_interrupt, reason_of
from flowrunner.flows.model import Vertex

_Port = TypeVar("_Port", Input, Output)


def declared_inputs(component: Component, settings: Mapping[str, Any]) -> tuple[Input, ...]:
    """Return the inputs of a vertex with these settings.

    :raises FlowInvalid: if the component cannot have such settings, or does not answer as it should.
    """
    if type(component).inputs_for is Component.inputs_for:
        return tuple(component.inputs)
    return _asked(component.inputs_for, settings, Input)


def declared_outputs(component: Component, settings: Mapping[str, Any]) -> tuple[Output, ...]:
    """Return the outputs of a vertex with these settings.

    :raises FlowInvalid: if the component cannot have such settings, or does not answer as it should.
    """
    if type(component).outputs_for is Component.outputs_for:
        return tuple(component.outputs)
    return _asked(component.outputs_for, settings, Output)


def told_by(component: Component, vertex: Vertex, method: str, *arguments: Any) -> Any:
    """Ask a component about a vertex by one of its methods.

    :raises FlowInvalid: if it does not answer, naming the vertex and the method.
    """
    try:
        return getattr(component, method)(*arguments)
    except BaseException as error:
        if is_interrupt(error):
            raise
        shown = f"{vertex.shown_name} ({vertex.id})"
        raise FlowInvalid(f"{shown}: its {method}() failed: {reason_of(error)}.") from error


def _asked(
    ask: Callable[[Mapping[str, Any]], Any], settings: Mapping[str, Any], kind: type[_Port]
) -> tuple[_Port, ...]:
    method = f"{kind.__name__.lower()}s_for()"
    try:
        answer = ask(settings)
        ports = (answer,) if isinstance(answer, (str, kind)) else tuple(answer) if answer is not None else (None,)
    except (FlowRunnerError, ValueError) as error:
        # Its own word on settings that it cannot have.
        raise FlowInvalid(f"{reason_of(error)}.") from error
    except BaseException as error:
        if is_interrupt(error):
            raise
        raise FlowInvalid(f"its {method} failed: {reason_of(error)}.") from error
    if isinstance(answer, kind):
        raise FlowInvalid(f"its {method} returned a single {kind.__name__}; it must return a tuple of them.")
    for port in ports:
        if not isinstance(port, kind):
            raise FlowInvalid(f"its {method} returned {port!r:.80}, not a tuple of {kind.__name__}.")
    return ports
