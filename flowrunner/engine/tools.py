"""Components in tool mode, as tools that a model can call."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from flowrunner.components.ports import Input
from flowrunner.components.values import Tool
from flowrunner.engine.planned import PlannedVertex
from flowrunner.engine.shapes import value_json
from flowrunner.engine.values import convert
from flowrunner.flows.declared import declared_outputs

_JSON_TYPES: Final = {
    "int": "integer",
    "float": "number",
    "bool": "boolean",
    "Data": "object",
    "dict": "object",
    "Table": "array",
    "list": "array",
}


#: The field of a flow file that lists which functions of a component are offered as tools.
_ROWS: Final = "tools_metadata"

Call = Callable[[dict[str, Any], frozenset[str]], Mapping[str, Any]]


def make_tools(planned: PlannedVertex, values: Mapping[str, Any], call: Call) -> Tool | list[Tool]:
    """Return the tools of a vertex: one, or one for each enabled row of its tools table."""
    rows = planned.undeclared.get(_ROWS)
    if not isinstance(rows, list) or not rows:
        return make_tool(planned, values, call)
    rows = [row for row in rows if isinstance(row, Mapping)]
    offered = [(place, row) for place, row in enumerate(rows) if row.get("status", True)]
    names = list(planned.outputs)
    tools = []
    for place, row in offered:
        output = _output_of(planned, row, names[place] if len(names) == len(rows) else None)
        alone = len(offered) == 1 and planned.vertex.tool_name
        name = planned.vertex.tool_name if alone else _text(row.get("name")) or planned.vertex.tool_name
        description = _text(row.get("description")) or planned.vertex.description
        tools.append(make_tool(planned, values, call, name=name, description=description, output=output))
    return tools


def _output_of(planned: PlannedVertex, row: Mapping[str, Any], otherwise: str | None) -> str | None:
    """Return the output that a row of the tools table refers to, by name or else by position; None for all."""
    tags = row.get("tags")
    words = {_text(row.get("name")), *(tags if isinstance(tags, list) else ())}
    for declared in declared_outputs(planned.component, planned.vertex.settings):
        if not words.isdisjoint((declared.name, *declared.aliases)):
            return declared.name
    return otherwise


def make_tool(
    planned: PlannedVertex,
    values: Mapping[str, Any],
    call: Call,
    *,
    name: str = "",
    description: str = "",
    output: str | None = None,
) -> Tool:
    """Return a vertex as a tool. The arguments are the inputs marked ``tool``, or else the text inputs.

    :param values: the values of the other inputs.
    :param output: the output that the tool returns; None for all.
    :param call: runs the component with all values and the names of those that the model filled, and returns the
        outputs.
    """
    chosen = _tool_inputs(planned)

    def use(arguments: Mapping[str, Any]) -> Any:
        merged = dict(values)
        for name, value in arguments.items():
            if name not in chosen:
                raise ValueError(f"there is no argument {name}; the arguments are {', '.join(chosen) or 'none'}")
            try:
                merged[name] = convert(chosen[name], value)
            except ValueError as error:
                raise ValueError(f"the argument {name} {error}") from error
        lacking = [n for n, i in chosen.items() if i.required and n not in arguments and merged[n] in ("", None)]
        if lacking:
            raise ValueError(f"the argument {lacking[0]} is missing")
        outputs = call(merged, frozenset(arguments))
        wanted = {output: outputs[output]} if output is not None and output in outputs else outputs
        found = {one: value_json(value, records=True) for one, value in wanted.items()}
        return next(iter(found.values())) if len(found) == 1 else found

    required = [name for name, declared in chosen.items() if declared.required]
    properties = {name: _schema(declared) for name, declared in chosen.items()}
    parameters = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    description = description or planned.vertex.description or (planned.component.__doc__ or "").strip().split("\n")[0]
    return Tool(_tool_name(planned, name), description or planned.display_name, parameters, use, planned.vertex.id)


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


def _tool_name(planned: PlannedVertex, given: str) -> str:
    """Return a name that models accept: at most 64 letters, digits, underscores and hyphens."""
    given = given or planned.vertex.tool_name or planned.display_name
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", given).strip("_")
    return name[:64] or "tool"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
