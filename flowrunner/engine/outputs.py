"""Validate what a component returned: declared outputs only, each of its port's type."""

from __future__ import annotations

import difflib
from collections.abc import Coroutine, Mapping, Sequence
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any, Final, NoReturn
from uuid import UUID

from flowrunner.components.ports import canonical_type
from flowrunner.components.values import Tool
from flowrunner.engine.planned import PlannedVertex
from flowrunner.flows.declared import declared_outputs
from flowrunner.memory.message import Message

#: Port types whose values are shown and stored, so they must be text or JSON.
_PLAIN: Final = frozenset({"Message", "Data", "Table", "secret", "int", "float", "bool", "dict", "list"})
#: The types of nearly all values; values of other types are checked in detail.
_USUAL: Final = frozenset({str, dict, list, tuple, int, float, bool, type(None)})
_UNUSUAL: Final = (
    str,
    Mapping,
    list,
    tuple,
    set,
    frozenset,
    int,
    float,
    Decimal,
    date,
    time,
    timedelta,
    UUID,
    PurePath,
    Enum,
)


def check_answer(planned: PlannedVertex, answer: Any) -> Mapping[str, Any]:
    """Return what ``run`` returned, if it has only declared outputs, each of its port's type.

    :raises TypeError: naming the output and the expected type.
    """
    if type(answer) is not dict and not isinstance(answer, Mapping):
        _refuse_answer(planned, answer)
    outputs = planned.outputs
    for name, value in answer.items():
        port_type = outputs.get(name)
        if port_type is None:
            port_type = _type_with_tweaks(planned, name)
        if port_type in _PLAIN:
            kind = type(value)
            if kind is Message:
                if type(value.text) is not str and not isinstance(value.text, str):
                    raise TypeError(f"the output {name} is a Message whose text is {_kind(value.text)}, not text")
            elif kind not in _USUAL and not isinstance(value, (Message, *_UNUSUAL)):
                _refuse_value(name, port_type, value)
    checked: Mapping[str, Any] = answer
    return checked


def check_tools(planned: PlannedVertex, tools: Any) -> Sequence[Tool] | None:
    """Return what ``own_tools`` returned.

    :raises TypeError: if it is not a list of tools.
    """
    if tools is None or (isinstance(tools, (list, tuple)) and all(isinstance(one, Tool) for one in tools)):
        return tools
    raise TypeError(f"own_tools() of {planned.display_name} returned {_kind(tools)}, not a list of Tool")


def refuse_part(planned: PlannedVertex, part: Any) -> NoReturn:
    """Refuse a value that a generator yielded and that is neither text nor a message.

    :raises TypeError: always.
    """
    raise TypeError(
        f"run() yielded {_kind(part)} for {_outputs(planned)}: yield only text, or a Message with steps to show, and"
        " return the values of outputs"
    )


def refuse_silence(planned: PlannedVertex) -> NoReturn:
    """Refuse a generator that ended without returning outputs.

    :raises TypeError: always.
    """
    raise TypeError(
        f"run() is a generator and returned nothing for {_outputs(planned)}: end it with return and a mapping by output"
        f" name, {_example(planned)}"
    )


def _type_with_tweaks(planned: PlannedVertex, name: Any) -> str:
    """Return the port type of an output that exists only with the values of this run."""
    settings = {**planned.vertex.settings, **planned.values}
    for output in declared_outputs(planned.component, settings):
        if output.name == name:
            return canonical_type(output.type)
    raise _unknown_name(planned, name)


def _refuse_answer(planned: PlannedVertex, answer: Any) -> NoReturn:
    if isinstance(answer, Coroutine):
        answer.close()
        raise TypeError(
            f"run() returned a coroutine for {_outputs(planned)}, which is never awaited; run() must call asyncio.run"
        )
    raise TypeError(
        f"run() returned {_kind(answer)}, not a mapping by output name for {_outputs(planned)}: {_example(planned)}"
    )


def _unknown_name(planned: PlannedVertex, name: Any) -> TypeError:
    near = difflib.get_close_matches(str(name), planned.outputs, n=1)
    hint = f"did you mean {near[0]}?" if near else f"its outputs are: {', '.join(planned.outputs) or 'none'}"
    return TypeError(f"run() returned a value for the output {name!r}, which it does not declare; {hint}")


def _refuse_value(name: str, port_type: str, value: Any) -> NoReturn:
    wanted = {"Message": "text or a Message", "Data": "a dict", "Table": "a list of dicts"}.get(port_type, port_type)
    if isinstance(value, Coroutine):
        value.close()
    raise TypeError(f"the output {name} ({port_type}) is {_kind(value)}, not {wanted}")


def _outputs(planned: PlannedVertex) -> str:
    names = list(planned.outputs)
    return f"the output{'' if len(names) == 1 else 's'} {', '.join(names)}" if names else "a component without outputs"


def _example(planned: PlannedVertex) -> str:
    return f'{{"{next(iter(planned.outputs), "")}": ...}}' if planned.outputs else "{}"


def _kind(value: Any) -> str:
    return "None" if value is None else f"{'an' if type(value).__name__[0] in 'aeiou' else 'a'} {type(value).__name__}"
