"""A component in tool mode, as something that a model may call."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from flowrunner.components import Input, Tool
from flowrunner.engine.plan import PlannedVertex
from flowrunner.engine.shapes import value_json
from flowrunner.engine.values import convert

_JSON_TYPES: Final = {
    "int": "integer", "float": "number", "bool": "boolean", "Data": "object", "dict": "object", "Table": "array",
    "list": "array",
}  # fmt: skip


def make_tool(
    planned: PlannedVertex, values: Mapping[str, Any],
    call: Callable[[dict[str, Any], frozenset[str]], Mapping[str, Any]],
) -> Tool:  # fmt: skip
    """Return a vertex as a tool: its schema comes from the inputs marked ``tool``, else from its text inputs.

    :param values: what its other inputs have.
    :param call: runs the component on complete values, of which it is told those that the model
        filled, and returns its outputs.
    """
    chosen = _tool_inputs(planned)

    def use(arguments: Mapping[str, Any]) -> Any:
        merged = dict(values)
        for name, value in arguments.items():
            if name not in chosen:
                raise ValueError(f"there is no argument {name}; known are {', '.join(chosen) or 'none'}")
            try:
                merged[name] = convert(chosen[name], value)
            except ValueError as error:
                raise ValueError(f"the argument {name} {error}") from error
        lacking = [n for n, i in chosen.items() if i.required and n not in arguments and merged[n] in ("", None)]
        if lacking:
            raise ValueError(f"the argument {lacking[0]} is missing")
        outputs = call(merged, frozenset(arguments))
        found = {name: value_json(value) for name, value in outputs.items()}
        return next(iter(found.values())) if len(found) == 1 else found

    required = [name for name, declared in chosen.items() if declared.required]
    properties = {name: _schema(declared) for name, declared in chosen.items()}
    parameters = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    description = planned.vertex.description or (planned.component.__doc__ or "").strip().split("\n")[0]
    return Tool(_tool_name(planned), description or planned.display_name, parameters, use, planned.vertex.id)


def _tool_inputs(planned: PlannedVertex) -> dict[str, Input]:
    free = {n: i for n, i in planned.inputs.items() if n not in planned.connected and n != "session_id"}
    marked = {n: i for n, i in free.items() if i.tool}
    return marked or {n: i for n, i in free.items() if i.type in ("Message", "str") and i.required}


def _schema(declared: Input) -> dict[str, Any]:
    one: dict[str, Any] = {"type": _JSON_TYPES.get(declared.type, "string")}
    if declared.options:
        one["enum"] = list(declared.options)
    schema = {"type": "array", "items": one} if declared.many else one
    return {**schema, "description": declared.info} if declared.info else schema


def _tool_name(planned: PlannedVertex) -> str:
    """Return a name that models accept: letters, digits, underscores and hyphens, at most 64."""
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", planned.vertex.tool_name or planned.display_name).strip("_")
    return name[:64] or "tool"
