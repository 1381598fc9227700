"""What an agent did, as content blocks of its message, in the shape that clients render."""

from __future__ import annotations

from typing import Any

from flowrunner import Message, make_content_block, make_properties

from .agent_tools import Outcome


class Steps:
    """Collects the steps of one agent."""

    def __init__(self, question: str) -> None:
        self._contents: list[dict[str, Any]] = []
        if question:
            self.say("Input", question, icon="MessageSquare")

    def say(self, title: str, text: str, *, icon: str = "MessageSquare", seconds: float = 0.0) -> None:
        """Add a text."""
        header = {"title": title, "icon": icon}
        self._contents.append({"type": "text", "duration": round(seconds * 1000), "header": header, "text": text})

    def use(self, outcome: Outcome) -> None:
        """Add a call of a tool."""
        verb = "Failed" if outcome.failed else "Executed"
        self._contents.append(
            {
                "type": "tool_use",
                "duration": round(outcome.seconds * 1000),
                "header": {"title": f"{verb} **{outcome.call.name}**", "icon": "Hammer"},
                "name": outcome.call.name,
                "tool_input": outcome.arguments if isinstance(outcome.arguments, dict) else {"text": outcome.arguments},
                "output": None if outcome.failed else outcome.text,
                "error": outcome.text if outcome.failed else None,
            }
        )

    def blocks(self) -> tuple[dict[str, Any], ...]:
        """Return the content blocks so far."""
        return (make_content_block("Agent Steps", self._contents),) if self._contents else ()

    def message(self) -> Message:
        """Return a message that shows the steps while the agent still works."""
        return Message(content_blocks=self.blocks(), properties=make_properties(state="partial"))
