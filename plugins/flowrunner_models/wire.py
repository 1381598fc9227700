"""Turns, tools and replies as OpenAI's chat completions write them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
            ToolCall(str(c.get("id") or f"call_{n}"), str(c["function"]["name"]), _arguments(c["function"]) or "{}")
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
    return Usage(_count(given.get("prompt_tokens")), _count(given.get("completion_tokens")))


def lines_of(pieces: Iterable[bytes]) -> Iterator[str]:
    """Return the lines of a stream, which end at line feeds and nowhere else.

    U+2028, U+2029 and U+0085 end a line for :meth:`str.splitlines`, but may stand in the JSON of an event.
    """
    rest = bytearray()
    for piece in pieces:
        rest += piece
        if b"\n" in piece:
            *lines, rest = rest.split(b"\n")
            for line in lines:
                yield line.decode("utf-8", "replace").removesuffix("\r")
    if rest:
        yield rest.decode("utf-8", "replace")


class Chunks:
    """Puts the chunks of a streamed answer together."""

    def __init__(self) -> None:
        self._text: list[str] = []
        self._calls: list[dict[str, str]] = []
        self._latest: dict[int | None, dict[str, str]] = {}
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
        try:
            return self._take(chunk)
        except (AttributeError, TypeError):
            raise ModelAnswerInvalid("the model's stream has something in it that is no chunk") from None

    def reply(self) -> Reply:
        """Return the reply, once all lines are read.

        :raises ModelAnswerInvalid: if the stream broke off.
        """
        if not self._done and not self._reason:
            raise ModelAnswerInvalid("the model's answer broke off")
        calls = tuple(
            ToolCall(c["id"] or f"call_{n}", c["name"], c["arguments"] or "{}") for n, c in enumerate(self._calls)
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
            function = delta.get("function") or {}
            key, name = str(delta.get("id") or ""), str(function.get("name") or "")
            call = self._call(delta.get("index"), key, name)
            call["id"] = call["id"] or key
            call["name"] = call["name"] or name
            call["arguments"] += _arguments(function)

    def _call(self, index: Any, key: str, name: str) -> dict[str, str]:
        """Return the call that a delta goes on with, else a new one.

        Some servers give all calls the index 0, and some none at all, where what has neither id nor
        name goes on with the last one; see :func:`_begins`.
        """
        place = index if isinstance(index, int) else None
        known = self._latest.get(place)
        if known is None or _begins(known, place, key, name):
            known = {"id": "", "name": "", "arguments": ""}
            self._calls.append(known)
        self._latest[place] = known
        return known


def _begins(known: Mapping[str, str], place: int | None, key: str, name: str) -> bool:
    """Say whether a delta begins a call of its own, after one at the same place.

    Another name does; another id does with a name beside it, since there are servers that give each
    delta an id of its own.
    """
    other_id = bool(key) and known["id"] not in ("", key)
    other_name = bool(name) and known["name"] not in ("", name)
    if place is None:
        return other_id or other_name or bool(name and not key)
    return other_name or (other_id and bool(name))


def _arguments(function: Mapping[str, Any]) -> str:
    """Return the arguments of a call as text; some servers give the object itself."""
    given = function.get("arguments")
    return given if isinstance(given, str) else "" if given is None else json.dumps(given, ensure_ascii=False)


def _count(value: Any) -> int:
    return int(value) if isinstance(value, (int, float)) and value == value and abs(value) < 1e15 else 0


def _text(content: Any) -> str:
    """Return the text of a content: a text, or a list of parts."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(str(p.get("text") or "") for p in content if isinstance(p, Mapping) and p.get("type") == "text")
    return ""
