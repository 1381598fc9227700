"""The text of a reply as a stream of parts, for clients that cannot take words back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from flowrunner.engine.events import RunEvent
from flowrunner.memory.message import Message


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the text; ``fresh`` where a new text begins, what came before having been a step."""

    text: str
    fresh: bool = False


class Reply:
    """Follows the events of a run and gives the parts of its first reply."""

    def __init__(self) -> None:
        self.text = ""
        self._message_id: str | None = None
        self._begins = True

    def read(self, event: RunEvent) -> Iterator[Part]:
        """Yield the parts that an event brings; together they are the text of the run's answer."""
        data = event.data
        if event.kind == "token":
            if self._message_id in (None, data["message_id"]):
                self._message_id = data["message_id"]
                yield self._say(data["text"])
        elif event.kind == "message_added" and not data["stored"]:
            if data["message"].id == self._message_id and self.text and data["message"].content_blocks:
                self._begin_anew()
        elif event.kind == "run_finished":
            final = data["result"].text
            if not final.startswith(self.text):
                self._begin_anew()
            rest = final[len(self.text) :]
            if rest:
                yield self._say(rest)

    def _say(self, text: str) -> Part:
        fresh, self._begins = self._begins, False
        self.text += text
        return Part(text, fresh)

    def _begin_anew(self) -> None:
        self.text, self._begins = "", True


def usage_of(message: Message | None) -> dict[str, Any] | None:
    """Return the tokens of a message as OpenAI counts them; None where no model was asked."""
    usage = message.properties.get("usage") if message is not None else None
    if not usage:
        return None
    shown = dict(usage)
    return {
        "input_tokens_details": {"cached_tokens": shown.pop("cached_tokens", 0)},
        "output_tokens_details": {"reasoning_tokens": shown.pop("reasoning_tokens", 0)},
        **shown,
    }
