"""The inputs of MCP Tools, and the arguments of the tool that a vertex names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from flowrunner import Input

INPUTS: Final = (
    Input("mcp_server", "any", address=True, info="the name of a server, or its name and config"),
    Input("tool", "str", aliases=("tool_name",), info="the tool to call, if no agent chooses one"),
    Input("headers", "any", aliases=("headers_input",), info="headers to send: rows of key and value"),
    Input("tool_execution_timeout", "float", default=0.0, info="time limit of a call in seconds; 0: 60"),
    Input("verify_ssl", "bool", default=True, info="false accepts any certificate; cannot be set by a request"),
    Input("tools_metadata", "any", info="the tools enabled by the author"),
    Input("mode", "str", info="in older flows: Stdio or SSE"),
    Input("command", "str", info="in older flows: the command of a server"),
    Input("sse_url", "str", aliases=("url",), info="in older flows: the address of a server"),
    Input("env", "any"),
    Input("tool_placeholder", "str"),
    Input("use_cache", "bool", default=False),
)
_OWN: Final = frozenset(name for one in INPUTS for name in (one.name, *one.aliases))
#: What vertices of exports have besides inputs.
_OF_EDITORS: Final = frozenset({"session_id", "is_refresh", "tool_mode", "code"})


def argument_names(settings: Iterable[str]) -> list[str]:
    """Return the names among those of settings that are arguments of a tool."""
    return [name for name in settings if name not in _OWN | _OF_EDITORS and not name.startswith("_")]


def arguments_in(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a tool among the values of a vertex."""
    return {name: values[name] for name in argument_names(values)}
