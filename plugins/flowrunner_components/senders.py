"""The senders of messages, and the names that flows use for them."""

from __future__ import annotations

from typing import Final

USER: Final = "User"
MACHINE: Final = "Machine"
AI: Final = "AI"

#: Names that old exports use for a sender.
_OLDER: Final = {"AI": MACHINE}


def sender_or(given: str, default: str) -> str:
    """Return a sender by its present name; blank means the default."""
    return _OLDER.get(given, given) or default
