"""Current Date: date and time in a time zone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timezone as fixed_zone
from datetime import tzinfo
from typing import Any, Final
from zoneinfo import ZoneInfo

from flowrunner import Component, Input, Message, Output, RunContext, utc_now

#: What the name of a time zone looks like; anything else never reaches the folder of zones.
_ZONE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z][A-Za-z0-9_+-]*){0,3}")


class CurrentDate(Component):
    """Return the current date and time in a time zone."""

    type_name = "CurrentDate"
    aliases = ("CurrentDateComponent",)
    display_name = "Current Date"
    inputs = (Input("timezone", "str", default="UTC", tool=True, info="a time zone such as Europe/Berlin"),)
    outputs = (Output("current_date"),)

    def run(self, context: RunContext, /, *, timezone: str) -> Mapping[str, Any]:
        """Return the sentence.

        :raises ValueError: naming a time zone that is not known.
        """
        name = timezone.strip() or "UTC"
        now = utc_now().astimezone(find_zone(name))
        text = f"Current date and time in {name}: {now.strftime('%Y-%m-%d %H:%M:%S %Z')}"
        return {"current_date": Message(text=text, flow_id=context.flow_id)}


def find_zone(name: str) -> tzinfo:
    """Return a time zone by its name. UTC is there without a database of zones.

    :raises ValueError: if it is not known.
    """
    if name.upper() in ("UTC", "ETC/UTC"):
        return fixed_zone.utc
    try:
        if _ZONE.fullmatch(name):
            return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        pass
    raise ValueError(f"unknown time zone {name!r}; use a name such as Europe/Berlin")
