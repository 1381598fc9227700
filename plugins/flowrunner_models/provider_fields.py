"""Provider-specific members of an answer, kept to be sent back unchanged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

#: Members of a message that are read here, or that no server takes back.
_READ: Final = frozenset(
    {"role", "content", "tool_calls", "function_call", "refusal", "annotations", "audio", "name", "parsed"}
)
#: Members that name something: in a stream a later value replaces an earlier one.
_NAMES: Final = frozenset({"id", "type", "index", "format", "role", "name", "object", "model"})
_THOUGHT_MEMBERS: Final = ("reasoning_content", "reasoning", "thinking", "reasoning_text")
_THOUGHT_LISTS: Final = ("reasoning_details", "thinking_blocks", "reasoning_blocks")


class Opaque:
    """Collects the members of a message, whole or in deltas."""

    def __init__(self) -> None:
        self._texts: dict[str, list[str]] = {}
        self._others: dict[str, Any] = {}
        self._parts: list[Any] = []
        self._whole = False

    def add(self, message: Mapping[str, Any]) -> None:
        """Take what nobody here reads of a message or delta."""
        for name, value in message.items():
            if name in _READ or value in (None, "", [], {}):
                continue
            if isinstance(value, str) and name not in _NAMES:
                texts = self._texts.setdefault(name, [])
                if not ("signature" in name and texts == [value]):
                    texts.append(value)
            else:
                merge_opaque(self._others, {name: value})

    def add_content(self, content: Any, *, whole: bool) -> None:
        """Take the parts of a content that are not plain text, or all of them where it is whole."""
        parts = opaque_content(content)
        if whole or not parts:
            self._parts, self._whole = (parts or self._parts), whole and bool(parts)
            return
        _extend(self._parts, [part for part in parts if not (isinstance(part, Mapping) and part.get("type") == "text")])

    def members(self, text: str) -> dict[str, Any]:
        """Return the members, with the content where the text alone would not give it back.

        :param text: the text of the message, thoughts aloud included.
        """
        found = {**{name: "".join(texts) for name, texts in self._texts.items()}, **self._others}
        if self._parts:
            said = [{"type": "text", "text": text}] if text and not self._whole else []
            found["content"] = [*self._parts, *said]
        return found


def opaque_content(content: Any) -> list[Any]:
    """Return a content whole where it has parts that are not plain text, such as signed thoughts."""
    if not isinstance(content, list):
        return []
    plain = all(isinstance(part, Mapping) and part.get("type") in ("text", "output_text") for part in content)
    signed = any(set(part) - {"type", "text", "annotations"} for part in content if isinstance(part, Mapping))
    return content if content and (not plain or signed) else []


def merge_opaque(into: dict[str, Any], more: Mapping[str, Any]) -> None:
    """Add members of a later delta: texts and lists grow, objects are merged, what else there is is replaced."""
    for name, value in more.items():
        if value is None:
            continue
        known = into.get(name)
        if isinstance(known, str) and isinstance(value, str) and name not in _NAMES:
            # A signature is said whole, and by some with every delta.
            into[name] = known if known == value and "signature" in name else known + value
        elif isinstance(known, dict) and isinstance(value, Mapping):
            merge_opaque(known, value)
        elif isinstance(known, list) and isinstance(value, list):
            _extend(known, value)
        else:
            into[name] = _copy(value)


def thoughts_in(members: Mapping[str, Any]) -> str:
    """Return what a model thought, out of the members that servers have for it; the first that says something."""
    for name in _THOUGHT_MEMBERS:
        found = _text(members.get(name))
        if found.strip():
            return found
    for name in _THOUGHT_LISTS:
        found = _text(members.get(name))
        if found.strip():
            return found
    return ""


def thoughts_of_content(content: Any) -> str:
    """Return the thoughts among the parts of a content."""
    parts = content if isinstance(content, list) else ()
    return "".join(
        _text(part) for part in parts if isinstance(part, Mapping) and part.get("type") in ("thinking", "reasoning")
    )


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return next(
            (
                found
                for name in ("text", "thinking", "summary", "content", "reasoning")
                if (found := _text(value.get(name)))
            ),
            "",
        )
    return "".join(map(_text, value)) if isinstance(value, (list, tuple)) else ""


def _extend(known: list[Any], more: list[Any]) -> None:
    """Append items, or merge them with those of the same index and type."""
    for item in more:
        same = next((k for k in known if _place(k) is not None and _place(k) == _place(item)), None)
        if same is None and known and _goes_on(known[-1], item):
            same = known[-1]
        if same is None:
            known.append(_copy(item))
        else:
            merge_opaque(same, item)


def _goes_on(last: Any, item: Any) -> bool:
    """Return whether a part of a thought continues the one before."""
    both = isinstance(last, dict) and isinstance(item, Mapping) and last.get("type") == item.get("type")
    return both and set(last) == set(item) and set(item) in ({"type", "text"}, {"type", "thinking"})


def _place(item: Any) -> tuple[Any, Any] | None:
    if not isinstance(item, Mapping) or not isinstance(item.get("index"), int):
        return None
    return item["index"], item.get("type")


def _copy(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _copy(item) for name, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value
