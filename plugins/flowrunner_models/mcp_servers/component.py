"""MCP Tools: the tools of an MCP server for an agent, or one of them for a flow."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from flowrunner import Component, Input, Output, RunContext, Tool, Word, text_of

from .answers import rows_of_answer, text_of_answer
from .connection import ServerConnection, ServerFailed
from .enabled_tools import chosen_tool, switched_on
from .fields import INPUTS, argument_names, arguments_in
from .server_choice import ChosenServer, choose_server

_SECONDS: Final = 60.0


class McpTools(Component):
    """Use the tools of an MCP server."""

    type_name = "MCPTools"
    aliases = ("MCP", "MCPToolsComponent", "MCPStdio", "MCPSse")
    display_name = "MCP Tools"
    blocking = True
    asks_destination = True
    inputs = INPUTS
    outputs = (Output("response", "Table", aliases=("data", "dataframe")),)

    def inputs_for(self, settings: Mapping[str, Any]) -> Sequence[Input]:
        """Return the inputs: of a vertex that names a tool, that tool's arguments, too."""
        return (*INPUTS, *(Input(name, "any") for name in argument_names(settings)))

    def run(self, context: RunContext, /, **values: Any) -> Mapping[str, Any]:
        """Call the tool that the vertex names and return what it gives.

        :raises ValueError: for a server that may not be used, a tool that it does not have, and one that fails.
        """
        server, seconds = choose_server(context, values), _seconds(values)
        name = chosen_tool(context, server, values)
        connection = _connect(context, server, values)
        try:
            if not name:
                raise ValueError("no tool is selected")
            found = {tool.name: tool for tool in connection.list_tools(seconds)}
            if name not in found:
                raise ServerFailed(f"{connection.label[:100]} has no tool {name[:100]}; available are {_names(found)}")
            arguments = _arguments(found[name].input_schema, arguments_in(values))
            answer = connection.call_tool(name, arguments, seconds)
            return {"response": rows_of_answer(answer, context.text_budget())}
        finally:
            connection.close()

    def own_tools(self, context: RunContext, /, **values: Any) -> Sequence[Tool]:
        """Return the tools of the server that the author left switched on.

        :raises ValueError: for a server that may not be used or does not answer.
        """
        server, seconds = choose_server(context, values), _seconds(values)
        connection = _connect(context, server, values)
        listed = connection.list_tools(seconds)
        wanted = switched_on(context, server, values)
        found = [tool for tool in listed if wanted is None or tool.name in wanted]
        if wanted and not found:
            raise ServerFailed(
                f"{connection.label[:100]} has none of the tools that the flow uses ({_names(wanted)}); it has"
                f" {_names([tool.name for tool in listed])}"
            )
        return [_tool(context, connection, one, seconds) for one in found]


def _connect(context: RunContext, server: ChosenServer, values: Mapping[str, Any]) -> ServerConnection:
    trusted = values["verify_ssl"] is False and context.given("verify_ssl").word is not Word.REQUEST
    return ServerConnection(server, context.cancelled, verify=not trusted)


def _tool(context: RunContext, connection: ServerConnection, one: Any, seconds: float) -> Tool:
    """Return a tool of a server as one of an agent."""

    def call(arguments: Mapping[str, Any]) -> Any:
        answer = connection.call_tool(one.name, arguments, seconds)
        return text_of_answer(answer, context.text_budget())

    made: Callable[[Mapping[str, Any]], Any] = call
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", one.name).strip("_")[:64] or "tool"
    schema = one.input_schema if isinstance(one.input_schema, Mapping) else {}
    return Tool(
        name,
        one.description or one.title or name,
        {"type": "object", "properties": {}, **schema},
        made,
        context.vertex_id,
    )


def _arguments(schema: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a tool is given, as its schema wants it; what is blank is left out."""
    properties = schema.get("properties") if isinstance(schema, Mapping) else None
    known = properties if isinstance(properties, Mapping) else {}
    return {
        name: _fit(value, known[name]) for name, value in given.items() if name in known and value not in (None, "")
    }


def _fit(value: Any, schema: Any) -> Any:
    kinds = _kinds(schema)
    text = text_of(value) if not isinstance(value, (bool, int, float, list, Mapping)) else value
    if not isinstance(text, str) or "string" in kinds or not kinds:
        return text if not (isinstance(text, Mapping) and kinds == {"string"}) else text_of(text)
    try:
        return json.loads(text)
    except ValueError:
        return text


def _kinds(schema: Any) -> set[str]:
    """Return the JSON types that an argument may have."""
    if not isinstance(schema, Mapping):
        return set()
    kind = schema.get("type")
    found = {kind} if isinstance(kind, str) else set(kind or ())
    for other in schema.get("anyOf") or ():
        found |= _kinds(other)
    return found


def _names(names: Any) -> str:
    return ", ".join(sorted(names))[:300] or "none"


def _seconds(values: Mapping[str, Any]) -> float:
    given = float(values["tool_execution_timeout"] or 0.0)
    return min(given, 3600.0) if given > 0 else _SECONDS
