"""Turns, tools and replies as OpenAI's chat completions write them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from flowrunner import Tool

from .failures import ModelAnswerInvalid
from .pictures import data_url
from .protocol import Options, Reply, ToolCall, Turn, Usage

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
        message["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in turn.calls
        ]
    return message


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


def read_completion(answer: Any) -> Reply:
    """Return the reply in a whole answer.

    :raises ModelAnswerInvalid: if it is none.
    """
    try:
        choice = answer["choices"][0]
        message = choice["message"]
        calls = tuple(
            ToolCall(str(c.get("id") or f"call_{n}"), c["function"]["name"], c["function"].get("arguments") or "{}")
            for n, c in enumerate(message.get("tool_calls") or ())
        )
        text = _text(message.get("content"))
        return Reply(text, calls, read_usage(answer.get("usage")), choice.get("finish_reason") or "stop")
    except (KeyError, IndexError, TypeError, AttributeError):
        raise ModelAnswerInvalid("the model's answer has no message in it") from None


def read_usage(given: Any) -> Usage | None:
    """Return the token counts of an answer; None where it gives none."""
    if not isinstance(given, Mapping):
        return None
    return Usage(int(given.get("prompt_tokens") or 0), int(given.get("completion_tokens") or 0))


class Chunks:
    """Puts the chunks of a streamed answer together."""

    def __init__(self) -> None:
        self._text: list[str] = []
        self._calls: dict[int, dict[str, str]] = {}
        self._usage: Usage | None = None
        self._reason = ""
        self._done = False

    def read(self, line: str) -> str:
        """Take one line of the stream; return the text that it brings, mostly a token.

        :raises ModelAnswerInvalid: for a line that cannot be read, or one that reports a failure.
        """
        if not line.startswith("data:"):
            return ""
        data = line[5:].strip()
        if data == "[DONE]":
            self._done = True
            return ""
        try:
            chunk = json.loads(data)
        except ValueError:
            raise ModelAnswerInvalid("the model's stream has a line in it that is no JSON") from None
        return self._take(chunk)

    def reply(self) -> Reply:
        """Return the reply, once all lines are read.

        :raises ModelAnswerInvalid: if the stream broke off.
        """
        if not self._done and not self._reason:
            raise ModelAnswerInvalid("the model's answer broke off")
        calls = tuple(
            ToolCall(c["id"] or f"call_{n}", c["name"], c["arguments"] or "{}") for n, c in sorted(self._calls.items())
        )
        return Reply("".join(self._text), calls, self._usage, self._reason or "stop")

    def _take(self, chunk: Any) -> str:
        if not isinstance(chunk, Mapping):
            raise ModelAnswerInvalid("the model's stream has something in it that is no chunk")
        error = chunk.get("error")
        if error:
            said = error.get("message") if isinstance(error, Mapping) else error
            raise ModelAnswerInvalid(str(said)[:500])
        if chunk.get("usage"):
            self._usage = read_usage(chunk["usage"])
        text = ""
        for choice in chunk.get("choices") or ():
            if choice.get("index", 0):
                continue
            delta = choice.get("delta") or {}
            text += _text(delta.get("content"))
            self._collect(delta.get("tool_calls") or ())
            self._reason = choice.get("finish_reason") or self._reason
        if text:
            self._text.append(text)
        return text

    def _collect(self, deltas: Iterable[Mapping[str, Any]]) -> None:
        for delta in deltas:
            index = delta.get("index")
            place = index if isinstance(index, int) else len(self._calls)
            call = self._calls.setdefault(place, {"id": "", "name": "", "arguments": ""})
            function = delta.get("function") or {}
            call["id"] = call["id"] or str(delta.get("id") or "")
            call["name"] = call["name"] or str(function.get("name") or "")
            call["arguments"] += str(function.get("arguments") or "")


def _text(content: Any) -> str:
    """Return the text of a content: a text, or a list of parts."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(str(p.get("text") or "") for p in content if isinstance(p, Mapping) and p.get("type") == "text")
    return ""
