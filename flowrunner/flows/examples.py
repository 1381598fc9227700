"""What a flow may be asked, for people who see it for the first time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

MOST_EXAMPLES: Final = 8
LONGEST_EXAMPLE: Final = 500


def read_examples(*places: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the example inputs under ``examples`` of the first place that has some; what is not text is left out."""
    for place in places:
        given = place.get("examples")
        if isinstance(given, list):
            texts = (item.strip() for item in given[: MOST_EXAMPLES * 4] if isinstance(item, str))
            found = [text for text in texts if text and len(text) <= LONGEST_EXAMPLE]
            if found:
                return tuple(dict.fromkeys(found))[:MOST_EXAMPLES]
    return ()
