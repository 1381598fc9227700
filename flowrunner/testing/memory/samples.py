"""Messages to test with: plain ones, and ones that have broken stores before."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any, Final

from flowrunner.memory import MemoryBackend
from flowrunner.memory.message import Message, make_content_block, make_properties, new_id
from flowrunner.memory.query import MessageQuery, Owner

#: The owner of messages that name none.
ANN: Final = "ann"
BOB: Final = "bob"

#: A moment to count from, so that tests do not hang on the clock.
NOON: Final = datetime(2026, 1, 31, 12, tzinfo=timezone.utc)

#: Session ids that clients have sent or will send. Each is an id of its own, character by character.
AWKWARD_IDS: Final[dict[str, str]] = {
    "blank": " ",
    "dots": "../../etc/passwd",
    "slashes": "/a//b/",
    "backslash": "C:\\NUL",
    "percent": "50%2F%00",
    "wildcards": "a_b%c*?[x]",
    "quotes": "'; DROP TABLE messages; --\"",
    "newline": "line\nline\r\n\ttab",
    "nul": "before\0after",
    "escape": "\x1b\x1b0\x1be",
    "emoji": "👩‍👩‍👧‍👦🇨🇭",
    "right to left": "\u202eשלום\u202c",
    "composed": "é",
    "decomposed": "e\u0301",
    "upper": "Session",
    "lower": "session",
    "trailing blank": "session ",
    "long": "x" * 2000,
    "long and alike": "x" * 1999 + "y",
    "long and wide": "🜁" * 2000,
    "digest": "sha256:" + "0" * 64,
    "number": "007",
    "null": "null",
    "line separator": "a\u2028b\u2029c\x85d",
}

#: Texts of messages that must come back as they went in.
AWKWARD_TEXTS: Final[dict[str, str]] = {
    **AWKWARD_IDS,
    "empty": "",
    "only nul": "\0",
    "json": '{"text": "\\u0000", "a": [1, 2]}',
    "template": "{{ 7 * 7 }} ${x} {0} %s",
    "every control character": "".join(map(chr, range(32))) + "\x7f",
    "last characters": "\ufeff\ufffd\uffff\U0010ffff",
    "lines": "one\ntwo\n\nthree\n",
    "large": "Lorem ipsum 🜁 " * 20_000,
}

#: Properties that are JSON and easy to spoil.
AWKWARD_JSON: Final[dict[str, Any]] = {
    "": "an empty name",
    "\0": "\0",
    "lone surrogate \\ud800": "as text",
    "numbers": [0, -1, 2**53 + 1, 1.5, -0.25, 1e300],
    "nested": {"a": {"b": {"c": [[], {}, [None, True, False]]}}},
    "text": "é e\u0301 \u2028 🜁",
    "null": None,
}


def make_message(text: str = "hello", session_id: str = "talk", owner: str = ANN, **fields: Any) -> Message:
    """Return a message that can be stored."""
    fields.setdefault("sender", "User")
    fields.setdefault("sender_name", "User")
    fields.setdefault("id", new_id())
    return Message(text=text, session_id=session_id, owner=owner, **fields)


def make_full_message(**fields: Any) -> Message:
    """Return a message in which every field differs from its default."""
    full: dict[str, Any] = {
        "text": "an answer",
        "sender": "Machine",
        "sender_name": "AI",
        "context_id": "context-1",
        "timestamp": NOON + timedelta(microseconds=123_456),
        "flow_id": "3fa85f64-5717-4562-b3fc-2c963f66afa6",
        "run_id": "run-1",
        "files": ("talk/a b.png", "talk/ü.txt"),
        "properties": make_properties(state="partial", usage={"input_tokens": 3}, targets=["x"]),
        "content_blocks": (
            make_content_block("Steps", [{"type": "tool_use", "name": "add", "tool_input": {"a": 1}, "output": 2}]),
            make_content_block("Mistake", [{"type": "error", "reason": "no"}]),
        ),
        "category": "error",
        "error": True,
        "edit": True,
        "duration": 1.25,
        "session_metadata": {"device": {"kind": "phone"}},
    }
    return make_message(**{**full, **fields})


def append_texts(backend: MemoryBackend, *texts: str, **fields: Any) -> list[Message]:
    """Append one message per text, each in a call of its own."""
    return [backend.append_messages([make_message(text, **fields)])[0] for text in texts]


def fetch_texts(backend: MemoryBackend, owner: Owner = ANN, **query: Any) -> list[str]:
    """Return the texts of the messages that a query means."""
    return [message.text for message in backend.fetch_messages(MessageQuery(owner=owner, **query))]
