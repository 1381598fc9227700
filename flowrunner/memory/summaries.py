"""Sessions as lists show them: their summaries and titles."""

from __future__ import annotations

from typing import Any, Final

from flowrunner.memory import Memory, SessionSummary
from flowrunner.text.timestamps import timestamp_text

_TITLE: Final = 80
#: A longer conversation has no title: finding its first message would mean counting through all of it.
_MOST_FOR_TITLE: Final = 5000


def session_row(summary: SessionSummary, title: str | None) -> dict[str, Any]:
    """Return a session as summaries show it."""
    return {
        "session_id": summary.session_id,
        "title": title,
        "count": summary.count,
        "flow_ids": list(summary.flow_ids),
        "first_at": timestamp_text(summary.first_at),
        "last_at": timestamp_text(summary.last_at),
    }


def title_of(text: str) -> str:
    """Return the title of a conversation that begins with a text: its beginning, in one line."""
    line = " ".join(text[: _TITLE * 10].split())
    return line if len(line) <= _TITLE else line[: _TITLE - 1] + "…"


def title_from(memory: Memory, summary: SessionSummary) -> str | None:
    """Return the title of a session; None if its first message is too far back."""
    if summary.count > _MOST_FOR_TITLE:
        return None
    flow_id = summary.flow_ids[0] if len(summary.flow_ids) == 1 else None
    found = memory.for_owner(summary.owner).fetch(
        session_id=summary.session_id, flow_id=flow_id, limit=1, offset=summary.count - 1
    )
    return title_of(found[0].text) if found else None
