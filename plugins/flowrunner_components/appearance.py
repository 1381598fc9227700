"""The appearance of a message in a chat: fields of older Chat Inputs and Chat Outputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from flowrunner import Input

#: Name of the field, and of the property of a message that it sets.
_PROPERTIES: Final = {"background_color": "background_color", "text_color": "text_color", "chat_icon": "icon"}

LOOKS: Final = tuple(Input(name, "str") for name in _PROPERTIES)


def look_changes(looks: Mapping[str, str]) -> dict[str, Any]:
    """Return the properties that these fields set; blank ones set none."""
    return {_PROPERTIES[name]: value for name, value in looks.items() if value}
