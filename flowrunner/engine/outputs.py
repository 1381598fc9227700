"""Validate what a component returned: declared outputs only, each of its port's type."""

from __future__ import annotations

import difflib
from collections.abc import Coroutine, Iterable, Mapping, Sequence
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

#: Port types whose values are shown, stored and sent on, so that they must be text or JSON.
_PLAIN: Final = frozenset({"Message", "Data", "Table", "secret", "int", "float", "bool", "dict", "list"})
#: The kinds of nearly all values; what is none of them is looked at closely.
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
    """Return an answer if none of it would be lost or shown as something else.

    :raises TypeError: naming the output and what is wanted.
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
    """Return the tools that a component brings.

    :raises TypeError: if they are none.
    """
    if tools is None or (isinstance(tools, (list, tuple)) and all(isinstance(one, Tool) for one in tools)):
        return tools
    raise TypeError(f"own_tools() returned {_kind(tools)} for {planned.display_name}, where a list of Tool is wanted")


def refuse_part(planned: PlannedVertex, part: Any) -> NoReturn:
    """Refuse what a generator yields that is neither text nor message.

    :raises TypeError: always.
    """
    raise TypeError(
        f"run() yielded {_kind(part)}: a part of {_outputs(planned)} is text, or a Message with steps to show; the"
        " value of an output is returned"
    )


def refuse_silence(planned: PlannedVertex) -> NoReturn:
    """Refuse a generator that ends without a value.

    :raises TypeError: always.
    """
    raise TypeError(
        f"run() yields and returned nothing for {_outputs(planned)}: it ends with return and a mapping by output name,"
        f" {_example(planned)}"
    )


def _type_with_tweaks(planned: PlannedVertex, name: Any) -> str:
    """Return the port type of an output that is there only with the values of this run."""
    settings = {**planned.vertex.settings, **planned.values}
    for output in declared_outputs(planned.component, settings):
        if output.name == name:
            return canonical_type(output.type)
    raise _unknown_name(planned, name)


def _refuse_answer(planned: PlannedVertex, answer: Any) -> NoReturn:
    if isinstance(answer, Coroutine):
        answer.close()
        raise TypeError(
            f"run() returned a coroutine for {_outputs(planned)}, which nobody awaits; asyncio.run(...) in it does"
        )
    raise TypeError(
        f"run() returned {_kind(answer)}, not a mapping by output name for {_outputs(planned)}: {_example(planned)}"
    )


def _unknown_name(planned: PlannedVertex, name: Any) -> TypeError:
    near = difflib.get_close_matches(str(name), planned.outputs, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there {_are(planned.outputs)}"
    return TypeError(f"run() returned a value for the output {name!r}, which it does not declare; {hint}")


def _refuse_value(name: str, port_type: str, value: Any) -> NoReturn:
    wanted = {"Message": "text or a Message", "Data": "a dict", "Table": "a list of dicts"}.get(port_type, port_type)
    if isinstance(value, Coroutine):
        value.close()
    raise TypeError(f"the output {name} ({port_type}) is {_kind(value)}, where {wanted} is wanted")


def _outputs(planned: PlannedVertex) -> str:
    names = list(planned.outputs)
    return f"the output{'' if len(names) == 1 else 's'} {', '.join(names)}" if names else "a component without outputs"


def _example(planned: PlannedVertex) -> str:
    return f'{{"{next(iter(planned.outputs), "")}": ...}}' if planned.outputs else "{}"


def _are(outputs: Iterable[str]) -> str:
    names = list(outputs)
    return f"{'is' if len(names) == 1 else 'are'} {', '.join(names)}" if names else "are none"


def _kind(value: Any) -> str:
    return "None" if value is None else f"{'an' if type(value).__name__[0] in 'aeiou' else 'a'} {type(value).__name__}"
