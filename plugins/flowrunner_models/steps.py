"""The steps of an agent as content blocks of its message, in the format that clients render."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flowrunner import Message, make_content_block, make_properties

from .agent_tools import Outcome
from .protocol import Reply, Usage


class Spent:
    """Adds up what the replies of one run took."""

    def __init__(self) -> None:
        self._usage: Usage | None = None
        self._seconds = 0.0
        self._counted = True

    def add(self, reply: Reply) -> None:
        """Count a reply."""
        self._seconds += reply.seconds or 0.0
        if reply.usage is None:
            self._counted = False
        else:
            self._usage = reply.usage if self._usage is None else self._usage + reply.usage

    def total(self, last: Reply) -> Reply:
        """Return the last reply with what all of them took."""
        usage = self._usage
        if usage is not None and not self._counted:
            # Some were not counted: then the cost of the others is not the cost.
            usage = replace(usage, cost=None)
        return replace(last, usage=usage, seconds=self._seconds)


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
