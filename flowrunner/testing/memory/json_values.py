"""Values that stores make into others."""

from __future__ import annotations

import json
from typing import Any, ClassVar, Final

import pytest

from flowrunner.memory import MemoryBackend
from flowrunner.memory.message import Message
from flowrunner.memory.query import MessageChanges, MessageQuery
from flowrunner.testing.memory.opening import BackendTests
from flowrunner.testing.memory.samples import ANN, make_message

JSON_VALUES: Final[dict[str, Any]] = {
    "1 and 1.0": [1, 1.0, -1, -1.0],
    "-0.0 and 0": [-0.0, 0.0, 0],
    "numbers and booleans": [True, 1, False, 0, None],
    "numbers and texts": [1, "1", 1.5, "1.5", "1e5", "NaN", "null", "true", ""],
    "64-bit numbers": [2**63 - 1, -(2**63), 2**63, 2**64 - 1, 2**53 + 1],
    "far numbers": [5e-324, 1.7976931348623157e308, 0.1, 1 / 3, 1e16, 1e22],
    "names with . and $": {"a.b": 1, "$set": {"$x.y": 2}, ".": 3, "$": 4, "a..b": {"": 5}},
    "names that are numbers": {"1": "a", "01": "b", "-1": "c", "__proto__": "d", "_id": "e", "_class": "f"},
    "order and doubles of a list": [3, 1, 1, 2, 3, [1, 1], [], [[]]],
    "empty things": [{}, [], "", None, {"a": {}, "b": [], "c": "", "d": None}],
    "texts that look like dates": ["2026-01-31", "2026-01-31T12:00:00Z", "12:00"],
    "byte order mark": ["\ufeff", "\ufeffa", "a\ufeff", "\ufffe"],
    "4,096 characters": ["x" * 4095, "x" * 4096, "x" * 4097, "é" * 4096],
    "65,536 characters": ["x" * 65_535, "x" * 65_536, "🜁" * 16_384],
    "deep": json.loads("[" * 90 + '{"a": 1}' + "]" * 90),
    "many names": {f"name {n}": n for n in range(1100)},
}

#: Texts for every field that holds one.
TEXTS: Final[dict[str, str]] = {
    "byte order mark": "\ufeffmarked\ufeff",
    "4,096 characters": "x" * 4096,
    "4,097 wide characters": "é" * 4097,
    "65,536 characters": "x" * 65_536,
    "blanks around": "  \t around \n ",
    "blank alone": " ",
    "ends of lines": "a\r\nb\rc\nd",
    "number": "0012.50",
    "name of nothing": "None",
    "composed": "\u00e9",
    "decomposed": "e\u0301",
    "compatibility form": "ﬁ ① Ａ K",
}


class ExactTests(BackendTests):
    """Values come back identical, down to the type of a number and the last character."""

    group = "exact values"
    came_with = 2
    mistakes: ClassVar[tuple[str, ...]] = (
        "1.0 that comes back as 1, or -0.0 as 0: a JSON library or a column with only one kind of number.",
        "Numbers beyond 53 or 63 bits that are rounded, or refused.",
        "Names with a dot or a dollar sign that the store interprets as paths or operators.",
        "A list stored as a set, sorted or without its duplicates.",
        "Columns with a limit (255, 4,096, 65,535 characters or bytes) that truncate silently.",
        "A byte order mark, trailing spaces or line endings that are normalized, or é stored as e and an accent.",
    )

    @pytest.mark.parametrize("name", JSON_VALUES)
    def test_a_json_value_comes_back_as_it_was(self, backend: MemoryBackend, name: str) -> None:
        """*Values* come back as they went in: texts character by character (NUL and control characters included),
        JSON values as JSON"""
        value = JSON_VALUES[name]
        block = {"title": "t", "contents": [{"type": "json", "data": value}]}
        fields: dict[str, Any] = {"properties": {"value": value}, "session_metadata": {"value": value}}
        message = make_message(**fields, content_blocks=(block,))
        backend.append_messages([message, make_message(id="other")])
        wanted = _json_of(message)
        (first, other) = backend.fetch_messages(MessageQuery(owner=ANN))
        assert _json_of(first) == wanted
        changes = MessageChanges(**fields, content_blocks=(block,))
        (changed,) = backend.update_messages(MessageQuery(owner=ANN, ids=(other.id or "",)), changes)
        assert _json_of(changed) == wanted
        assert [_json_of(one) for one in backend.fetch_messages(MessageQuery(owner=ANN))] == [wanted, wanted]

    @pytest.mark.parametrize("name", TEXTS)
    def test_a_text_comes_back_in_every_field(self, backend: MemoryBackend, name: str) -> None:
        """*Values* come back as they went in: texts character by character (NUL and control characters included)"""
        text = TEXTS[name]
        fields: dict[str, Any] = dict.fromkeys(
            ("text", "sender", "sender_name", "session_id", "context_id", "category"), text
        )
        message = make_message(**fields, files=(text, text), id=text[:255], run_id=text[:255], flow_id=text[:255])
        backend.append_messages([message])
        assert backend.fetch_messages(MessageQuery(owner=ANN)) == [message]
        for field, value in fields.items():
            query: dict[str, Any] = {field: value}
            assert backend.fetch_messages(MessageQuery(owner=ANN, **query)) == [message], field

    @pytest.mark.parametrize("duration", [0.0, 1.0, 0.1, 1e-9, 86_400.123456, None])
    def test_a_duration_comes_back_as_it_was(self, backend: MemoryBackend, duration: float | None) -> None:
        """*Values* come back as they went in"""
        backend.append_messages([make_message(duration=duration)])
        (found,) = backend.fetch_messages(MessageQuery(owner=ANN))
        assert repr(found.duration) == repr(duration)


def _json_of(message: Message) -> list[str]:
    """Return what holds JSON, as texts: 1 == 1.0 == True for Python, but not for JSON."""
    values = (message.properties, message.session_metadata, message.content_blocks)
    return [json.dumps(value, sort_keys=True) for value in values]
