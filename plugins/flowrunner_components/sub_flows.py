"""Run Flow, Sub Flow and Flow as Tool: run another flow of the owner inside this one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from flowrunner import Component, FlowNotFound, Given, Input, Message, Output, RunContext, Tool, Word, text_of

from .values import as_data

#: What stands between the id of a vertex and one of its fields or outputs.
_BETWEEN: Final = re.compile(r"^([^~|]+)[~|](.+)$")
INPUTS: Final = (
    Input("flow_name_selected", "str", aliases=("flow_name",), info="the flow, by its name, endpoint name or id"),
    Input("flow_id_selected", "str", aliases=("flow_id",), info="the flow's id; takes precedence over its name"),
    Input("input_value", "any", accepts=("Message", "Data", "Table"), tool=True, info="the input of the flow"),
    Input("flow_tweak_data", "any", accepts=("Data",), info="settings of the flow's components for this run"),
)
_OWN: Final = frozenset(name for one in INPUTS for name in (one.name, *one.aliases))


class RunFlow(Component):
    """Run another flow of the owner, in the same session and the same turn."""

    type_name = "RunFlow"
    aliases = ("RunFlowComponent",)
    display_name = "Run Flow"
    lists_outputs = True
    inputs = INPUTS
    outputs: ClassVar[tuple[Output, ...]] = (
        Output("flow_outputs_message", aliases=("message", "text")),
        Output("flow_outputs_data", "Data", aliases=("data",)),
        Output("flow_outputs_dataframe", "Table", aliases=("dataframe",)),
        Output("flow_outputs", "Data", aliases=("results",)),
    )

    def inputs_for(self, settings: Mapping[str, Any]) -> Sequence[Input]:
        """Return the inputs: besides its own those of the other flow that the vertex shows, as ``vertex~field``."""
        return (*INPUTS, *(Input(name, "any") for name in settings if name not in _OWN and _BETWEEN.match(name)))

    def run(self, context: RunContext, /, **values: Any) -> Mapping[str, Any]:
        """Return what the flow answered; of outputs that the vertex lists as ``vertex~output`` what that gave.

        :raises ValueError: if no flow is set.
        :raises FlowNotFound: if the owner has none of that name, or the caller may not run it.
        """
        return _outputs(context, start_flow(context, values, values["input_value"]))


class SubFlow(RunFlow):
    """Run another flow of the owner, under its older name."""

    type_name = "SubFlow"
    aliases = ("SubFlowComponent",)
    display_name = "Sub Flow"
    outputs = (Output("flow_outputs", "Data", aliases=("results", "data")),)

    def run(self, context: RunContext, /, **values: Any) -> Mapping[str, Any]:
        """Return what the flow answered."""
        made = super().run(context, **values)
        return {name: made[name] for name in made if name == "flow_outputs" or "~" in name or "|" in name}


class FlowTool(Component):
    """Make another flow of the owner a tool for an agent."""

    type_name = "FlowTool"
    aliases = ("FlowToolComponent",)
    display_name = "Flow as Tool"
    inputs = (
        *INPUTS,
        Input("tool_name", "str", aliases=("name",), info="name of the tool, for the agent"),
        Input("tool_description", "str", aliases=("description",), info="description of the tool, for the agent"),
        Input("return_direct", "bool", default=False, info="ignored: the answer always goes to the agent"),
    )
    outputs = (Output("message", aliases=("text",)),)

    def run(self, context: RunContext, /, **values: Any) -> Mapping[str, Any]:
        """Return what the flow answered."""
        return {"message": _message(start_flow(context, values, values["input_value"]))}

    def own_tools(self, context: RunContext, /, **values: Any) -> Sequence[Tool]:
        """Return the flow as a tool with one argument, what it is asked."""
        named = text_of(values["tool_name"]).strip() or text_of(values["flow_name_selected"]).strip()
        name = re.sub(r"[^A-Za-z0-9_-]+", "_", named).strip("_")[:64] or "flow"
        said = text_of(values["tool_description"]).strip() or f"Ask the flow {named}."
        asked = {"type": "string", "description": "what the flow is asked"}
        schema = {"type": "object", "properties": {"input_value": asked}, "required": ["input_value"]}

        def call(arguments: Mapping[str, Any]) -> Any:
            if "input_value" not in arguments:
                raise ValueError("the argument input_value is missing")
            by_model = Given(Word.REQUEST, Word.REQUEST)
            return _message(start_flow(context, values, arguments["input_value"], by_model)).text

        return [Tool(name, said, schema, call, context.vertex_id)]


def start_flow(context: RunContext, values: Mapping[str, Any], asked: Any, given: Given | None = None) -> Any:
    """Run the flow that a vertex names and return its result.

    :param given: whose word it is what the flow is asked; else that of the input.
    :raises ValueError: if none is named.
    :raises FlowNotFound: if the owner has none of that name, or the caller may not run it.
    """
    names = [text_of(values[field]).strip() for field in ("flow_id_selected", "flow_name_selected")]
    wanted = [name for name in dict.fromkeys(names) if name]
    if not wanted:
        raise ValueError("no flow is set")
    text = None if asked in (None, "", []) else text_of(asked)
    tweaks, words = _tweaks(context, values)
    more = {
        "session_id": context.session_id,
        "tweaks": tweaks,
        "input_given": context.given("input_value") if given is None else given,
        "tweaks_given": words,
    }
    for name in wanted[:-1]:
        try:
            return context.run_flow(name, text, **more)
        except FlowNotFound:
            # An export brings the id that the flow had elsewhere; its name is the same.
            continue
    return context.run_flow(wanted[-1], text, **more)


def _tweaks(
    context: RunContext, values: Mapping[str, Any]
) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Given]]]:
    """Return the settings of the other flow's components that a vertex gives, and whose word each is.

    What is said for one flow is nobody's but the request's where the request chose the flow.
    """
    chosen = min(context.given(name).word for name in ("flow_id_selected", "flow_name_selected"))
    made: dict[str, dict[str, Any]] = {}
    words: dict[str, dict[str, Given]] = {}

    def put(vertex: str, field: str, value: Any, source: str) -> None:
        given = context.given(source)
        made.setdefault(vertex, {})[field] = value
        words.setdefault(vertex, {})[field] = Given(min(given.word, chosen), given.secret)

    together = values["flow_tweak_data"]
    data = dict(together) if isinstance(together, Mapping) else {}
    for vertex, fields in data.items():
        for field, value in fields.items() if isinstance(fields, Mapping) else ():
            put(str(vertex), field, value, "flow_tweak_data")
    for name, value, source in (
        *((str(name), value, "flow_tweak_data") for name, value in data.items()),
        *((name, value, name) for name, value in values.items()),
    ):
        found = _BETWEEN.match(name)
        if found is not None and not isinstance(value, Mapping) and value not in (None, "", []):
            put(found.group(1), found.group(2), text_of(value) if isinstance(value, Message) else value, source)
    return made, words


def _message(result: Any) -> Message:
    for vertex in result.reported:
        if vertex.message is not None:
            found: Message = vertex.message
            return Message(text=found.text, files=found.files)
    return Message(text=text_of(_rows(result)))


def _rows(result: Any) -> list[dict[str, Any]]:
    """Return what the reported vertices gave, a row each."""
    rows = []
    for vertex in result.reported:
        for value in vertex.outputs.values():
            rows.append({"text": value.text} if isinstance(value, Message) else as_data(value))
    return rows


def _outputs(context: RunContext, result: Any) -> dict[str, Any]:
    rows = _rows(result)
    made: dict[str, Any] = {
        "flow_outputs_message": _message(result),
        "flow_outputs_data": rows[0] if len(rows) == 1 else {"results": rows},
        "flow_outputs_dataframe": rows,
        "flow_outputs": rows,
    }
    for name in context.wanted - set(made):
        found = _BETWEEN.match(name)
        outputs = result.output(found.group(1)) if found is not None else None
        if found is not None and outputs is not None and found.group(2) in outputs:
            value = outputs[found.group(2)]
            made[name] = Message(text=value.text, files=value.files) if isinstance(value, Message) else value
    return made
