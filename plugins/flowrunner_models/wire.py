"""Turns and tools in the format of OpenAI's chat completions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from flowrunner import Tool

from .pictures import data_url
from .protocol import Options, ToolCall, Turn
from .tool_calls import valid_arguments

#: OpenAI's models that think before they answer.
_THINKS: Final = re.compile(r"(?:openai/)?(?:o[1-9](?![0-9a-z])|gpt-5(?!.*chat))")


def request_body(
    model: str, turns: Sequence[Turn], tools: Sequence[Tool], schema: Mapping[str, Any] | None, options: Options
) -> dict[str, Any]:
    """Return the body of a request, without what concerns streaming."""
    body: dict[str, Any] = {"model": model, "messages": [write_turn(turn) for turn in turns]}
    if tools:
        body["tools"] = [write_tool(tool) for tool in tools]
    if schema is not None:
        named = {"name": "answer", "schema": dict(schema), "strict": True}
        body["response_format"] = {"type": "json_schema", "json_schema": named}
    elif options.json_mode:
        body["response_format"] = {"type": "json_object"}
    for name in ("temperature", "top_p", "seed"):
        value = getattr(options, name)
        if value is not None:
            body[name] = value
    if options.max_tokens:
        body["max_tokens"] = options.max_tokens
    if options.stop:
        body["stop"] = list(options.stop)
    if _THINKS.match(model):
        # These refuse what steers the others, and count the tokens of their thoughts too.
        body.pop("temperature", None)
        body.pop("top_p", None)
        if "max_tokens" in body:
            body["max_completion_tokens"] = body.pop("max_tokens")
    body.update(options.extra)
    return body


def write_turn(turn: Turn) -> dict[str, Any]:
    """Return one turn as a message."""
    if turn.role == "tool":
        return {"role": "tool", "tool_call_id": turn.call_id, "content": turn.text}
    message: dict[str, Any] = {"role": turn.role, "content": _content(turn)}
    if turn.calls:
        message["content"] = turn.text or None
        message["tool_calls"] = [_write_call(call) for call in turn.calls]
    return {**message, **turn.extra}


def _write_call(call: ToolCall) -> dict[str, Any]:
    """Return a call as its server gave it, but for arguments that are none: servers that read history refuse those."""
    more = call.extra.get("function") or {}
    function = {**more, "name": call.name, "arguments": valid_arguments(call.arguments)}
    return {**call.extra, "id": call.id, "type": "function", "function": function}


def _content(turn: Turn) -> str | list[dict[str, Any]]:
    """Return the text, or with pictures the parts."""
    if not turn.pictures:
        return turn.text
    text = [{"type": "text", "text": turn.text}] if turn.text else []
    return [*text, *({"type": "image_url", "image_url": {"url": data_url(p)}} for p in turn.pictures)]


def write_tool(tool: Tool) -> dict[str, Any]:
    """Return a tool as a function that a model may call."""
    function = {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)}
    return {"type": "function", "function": function}
