"""Earlier messages as turns of a conversation, limited by number or size."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from flowrunner import Message, text_of

from .pictures import files_of
from .protocol import Turn


def turns_of(value: Any) -> list[Turn]:
    """Return what an edge brought as a history: rows of a Message History, messages, or a text.

    A text has no turns in it any more; it is handed on as a note to the model.
    """
    if value is None or value == "" or value == []:
        return []
    if isinstance(value, (str, Message)):
        text = text_of(value)
        return [Turn("system", f"The conversation so far:\n{text}")] if text.strip() else []
    if isinstance(value, Mapping):
        return [_turn(value)]
    if isinstance(value, Iterable):
        found: list[Turn] = []
        for item in value:
            found += [_turn(item)] if isinstance(item, Mapping) else message_turns(item)
        return [turn for turn in found if turn.text.strip() or turn.files]
    return []


def message_turns(item: Any) -> list[Turn]:
    """Return a stored message as a turn; anything else by its text, as the user's."""
    if isinstance(item, Message):
        return [_said_by(item.sender, item.text, files_of(item))]
    return turns_of(item) if isinstance(item, (list, tuple)) else [Turn("user", text_of(item))]


def is_history(value: Any) -> bool:
    """Return whether a value is rows of a conversation, not a table of anything else."""
    if not isinstance(value, (list, tuple)) or not value:
        return False
    return all(isinstance(row, Mapping) and "text" in row and ("sender" in row or "role" in row) for row in value)


def newest(turns: Sequence[Turn], *, count: int, tokens: int = 0) -> list[Turn]:
    """Return the newest turns that fit into a window of messages and of tokens, oldest first.

    A window never begins with an answer whose question it cut off.
    """
    kept: list[Turn] = []
    room = tokens
    for turn in reversed(turns[max(0, len(turns) - count) :] if count > 0 else ()):
        if tokens > 0:
            room -= count_tokens(turn.text)
            if room < 0:
                break
        kept.append(turn)
    kept.reverse()
    return begins_with_question(kept) if len(kept) < len(turns) else kept


def begins_with_question(turns: Sequence[Turn]) -> list[Turn]:
    """Return turns of which a part was cut off without the answers at their beginning."""
    first = next((number for number, turn in enumerate(turns) if turn.role != "assistant"), len(turns))
    return list(turns[first:])


def fit(turns: Sequence[Turn], room: int) -> list[Turn]:
    """Return turns that fit into a model's window: the first system turn and the newest ones always stay."""
    first = [t for t in turns[:1] if t.role == "system"]
    rest = list(turns[len(first) :])
    used = sum(count_tokens(t.text) for t in first)
    while len(rest) > 1 and used + sum(count_tokens(t.text) for t in rest) > room:
        rest.pop(0)
    return [*first, *rest]


def count_tokens(text: str) -> int:
    """Return about how many tokens a text has: four bytes each, and what a turn costs besides."""
    return len(text.encode("utf-8", "replace")) // 4 + 4


def _turn(row: Mapping[str, Any]) -> Turn:
    role = str(row.get("role") or "").lower()
    if role in ("assistant", "system", "user"):
        return Turn(role, text_of(row.get("text") or row.get("content") or ""))  # type: ignore[arg-type]
    sender = row.get("sender")
    text = row.get("text")
    files = row.get("files")
    names = tuple(name for name in files if isinstance(name, str)) if isinstance(files, (list, tuple)) else ()
    said = text_of(text if text is not None else row)
    return _said_by(sender, said, names)


def _said_by(sender: Any, text: str, files: tuple[str, ...]) -> Turn:
    """Return a turn; providers take pictures of users only."""
    return Turn("user", text, files=files) if sender in ("User", None, "") else Turn("assistant", text)
