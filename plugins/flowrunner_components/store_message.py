"""Message Store: the older component that only stores messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flowrunner import Component, Input, Output, RunContext

from .stores import memory_of, store


class StoreMessage(Component):
    """Store a message in the session; its current form is Message History in the mode Store."""

    type_name = "StoreMessage"
    display_name = "Message Store"
    stores_messages = True
    inputs = (
        Input("message", required=True, tool=True),
        Input("memory", "Memory"),
        Input("sender", "str"),
        Input("sender_name", "str"),
    )
    outputs = (Output("stored_messages"),)

    def run(
        self, context: RunContext, /, *, message: Any, memory: Any, sender: str, sender_name: str
    ) -> Mapping[str, Any]:
        """Return the message as stored."""
        place = memory_of(context, memory)
        return {"stored_messages": store(context, place, message, sender=sender, sender_name=sender_name)}
