"""Arrange the messages of a request as strict servers require; stored messages are unchanged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

_KNOWN: Final = ("role", "content", "tool_call_id", "name")
_SYSTEM: Final = ("system", "developer")
_KNOWN_OF_CALL: Final = ("id", "type", "function")

Messages = list[dict[str, Any]]


def join_roles(messages: Sequence[Mapping[str, Any]]) -> Messages:
    """Return messages whose roles alternate: system texts come first, neighbours of one role become one.

    An answer before the first question is left out.
    """
    system = [m for m in messages if m["role"] in _SYSTEM]
    joined: Messages = []
    for message in [*system, *(m for m in messages if m["role"] not in _SYSTEM)]:
        if not joined or not _joins(joined[-1], message):
            joined.append(dict(message))
        else:
            joined[-1] = _one(joined[-1], message)
    begin = 1 if system else 0
    while len(joined) > begin and joined[begin]["role"] == "assistant" and not joined[begin].get("tool_calls"):
        joined.pop(begin)
    return joined


def system_into_question(messages: Sequence[Mapping[str, Any]]) -> Messages:
    """Return messages without a system role: its text stands before the first question."""
    said = [str(m["content"]) for m in messages if m["role"] in _SYSTEM and m.get("content")]
    rest = [dict(m) for m in messages if m["role"] not in _SYSTEM]
    if not said:
        return rest
    first = {"role": "user", "content": "\n\n".join(said)}
    place = next((n for n, m in enumerate(rest) if m["role"] == "user"), None)
    if place is None:
        return [first, *rest]
    rest[place] = _one(first, rest[place])
    return rest


def rename_system(messages: Sequence[Mapping[str, Any]]) -> Messages:
    """Return messages whose system texts have the role ``developer``."""
    return [{**m, "role": "developer"} if m["role"] == "system" else dict(m) for m in messages]


def only_known_members(messages: Sequence[Mapping[str, Any]]) -> Messages:
    """Return messages with nothing in them but what OpenAI's own protocol has."""
    return [_plain(message) for message in messages]


def _plain(message: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: message[name] for name in _KNOWN if name in message}
    if message["role"] == "assistant" and isinstance(found.get("content"), list):
        texts = (p.get("text") for p in found["content"] if isinstance(p, Mapping) and p.get("type") == "text")
        found["content"] = "".join(text for text in texts if isinstance(text, str)) or None
    if message.get("tool_calls"):
        found["tool_calls"] = [
            {
                **{name: call[name] for name in _KNOWN_OF_CALL if name in call},
                "function": {name: call["function"][name] for name in ("name", "arguments")},
            }
            for call in message["tool_calls"]
        ]
    return found


def _joins(last: Mapping[str, Any], message: Mapping[str, Any]) -> bool:
    same = last["role"] == message["role"]
    return same and message["role"] != "tool" and not (last.get("tool_calls") or message.get("tool_calls"))


def _one(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Return two messages as one; texts are parted by an empty line, pictures stay parts."""
    one, two = first.get("content") or "", second.get("content") or ""
    if isinstance(one, str) and isinstance(two, str):
        content: Any = "\n\n".join(filter(None, (one, two)))
    else:
        content = [*_parts(one), *_parts(two)]
    return {**first, **second, "content": content}


def _parts(content: Any) -> list[Any]:
    if isinstance(content, list):
        return content
    return [{"type": "text", "text": content}] if content else []
