"""The streams of ``/api/v1/responses``: OpenAI's events, and the reference server's chunks."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

from flowrunner.engine.events import RunEvent
from flowrunner.engine.result import RunResult
from flowrunner.web.json_io import dump_line
from flowrunner.web.langflow_events import failure_of

_BROKEN_OFF: Final = ("run_failed", "run_cancelled")
_DONE: Final = "data: [DONE]\n\n"


def text_item(item_id: str, text: str, **more: Any) -> dict[str, Any]:
    """Return a text as an output item.

    :param more: further members of its part.
    """
    part = {"type": "output_text", "text": text, "annotations": [], **more}
    return {"type": "message", "id": item_id, "status": "completed", "role": "assistant", "content": [part]}


def usage_of(result: RunResult) -> dict[str, Any] | None:
    """Return the token usage of a run's answer in OpenAI's format; None if no model was used."""
    message = next((vertex.message for vertex in result.reported if vertex.message is not None), None)
    usage = dict(message.properties.get("usage") or {}) if message is not None else {}
    if not usage:
        return None
    return {
        "input_tokens_details": {"cached_tokens": usage.pop("cached_tokens", 0)},
        "output_tokens_details": {"reasoning_tokens": usage.pop("reasoning_tokens", 0)},
        **usage,
    }


class _Reply:
    """Extracts the parts of the first reply from the events of a run, for clients that cannot retract text."""

    def __init__(self) -> None:
        self.text = ""
        self._message_id: str | None = None
        self._begins = True

    def read(self, event: RunEvent) -> tuple[str, bool] | None:
        """Return the text that an event adds to the run's answer, and whether a new text begins; None for nothing.

        If a new text begins, the text before it was a step.
        """
        data = event.data
        if event.kind == "token" and self._message_id in (None, data["message_id"]):
            self._message_id = data["message_id"]
            return self._say(data["text"])
        if event.kind == "message_added" and not data["stored"]:
            if data["message"].id == self._message_id and self.text and data["message"].content_blocks:
                self._begin_anew()
        elif event.kind == "run_finished":
            final = data["result"].text
            if not final.startswith(self.text):
                self._begin_anew()
            return self._say(rest) if (rest := final[len(self.text) :]) else None
        return None

    def _say(self, text: str) -> tuple[str, bool]:
        fresh, self._begins = self._begins, False
        self.text += text
        return text, fresh

    def _begin_anew(self) -> None:
        self.text, self._begins = "", True


class OpenAiEvents:
    """Converts the events of a run to the numbered events of a response in OpenAI's format."""

    def __init__(self, head: Mapping[str, Any]) -> None:
        self._head = head
        self._reply = _Reply()
        self._number = -1
        self._items: list[dict[str, Any]] = []
        self._text: list[str] | None = None
        self._place: dict[str, Any] = {}

    def tell(self, event: RunEvent) -> str:
        """Return the events for one event of the run."""
        text = ""
        if event.kind == "run_started":
            for kind in ("response.created", "response.in_progress"):
                text += self._frame(kind, response=self._head)
        part = self._reply.read(event)
        if part is not None:
            text += self._end_item() + self._begin_item() if part[1] else ""
            text += self._delta(part[0])
        if event.kind == "run_finished":
            # As in a plain answer, earlier texts were steps.
            text += self._end_item()
            done = {"status": "completed", "output": self._items[-1:], "usage": usage_of(event.data["result"])}
            text += self._frame("response.completed", response={**self._head, **done})
        elif event.kind in _BROKEN_OFF:
            text += self._end_item()
            error = {"code": "server_error", "message": failure_of(event)[0]}
            failed = {"status": "failed", "output": self._items, "error": error}
            text += self._frame("response.failed", response={**self._head, **failed})
        return text

    def _frame(self, kind: str, **members: Any) -> str:
        self._number += 1
        return f"event: {kind}\ndata: {dump_line({'type': kind, 'sequence_number': self._number, **members})}\n\n"

    def _begin_item(self) -> str:
        number = len(self._items)
        item_id = f"msg_{self._head['id']}" + (f"_{number}" if number else "")
        self._text, self._place = [], {"item_id": item_id, "output_index": number, "content_index": 0}
        begun = {**text_item(item_id, ""), "status": "in_progress", "content": []}
        part = text_item(item_id, "", logprobs=[])["content"][0]
        frames = self._frame("response.output_item.added", output_index=number, item=begun)
        return frames + self._frame("response.content_part.added", **self._place, part=part)

    def _delta(self, text: str) -> str:
        if self._text is None:
            return ""
        self._text.append(text)
        return self._frame("response.output_text.delta", **self._place, delta=text, logprobs=[])

    def _end_item(self) -> str:
        """End the current text, if there is one."""
        if self._text is None:
            return ""
        text, place = "".join(self._text), self._place
        item = text_item(place["item_id"], text, logprobs=[])
        frames = self._frame("response.output_text.done", **place, text=text, logprobs=[])
        frames += self._frame("response.content_part.done", **place, part=item["content"][0])
        frames += self._frame("response.output_item.done", output_index=place["output_index"], item=item)
        self._items.append(item)
        self._text = None
        return frames


class Chunks:
    """Converts the events of a run to the reference server's ``response.chunk`` objects, then ``[DONE]``."""

    def __init__(self, head: Mapping[str, Any]) -> None:
        self._head = head
        self._reply = _Reply()
        self._created = int(time.time())

    def tell(self, event: RunEvent) -> str:
        """Return the chunks for one event of the run."""
        part = self._reply.read(event)
        text = "" if part is None else self._chunk({"content": part[0]})
        if event.kind == "run_started":
            text = self._chunk({"content": ""})
        elif event.kind == "run_finished":
            done = {name: self._head[name] for name in ("id", "object", "created_at", "model")}
            done.update(status="completed", usage=usage_of(event.data["result"]))
            completed = dump_line({"type": "response.completed", "response": done})
            text += self._chunk({}, "completed", "stop") + f"event: response.completed\ndata: {completed}\n\n" + _DONE
        elif event.kind in _BROKEN_OFF:
            message, code = failure_of(event)
            error = dump_line({"error": {"message": message, "type": "processing_error", "code": code}})
            text += self._chunk({"content": message}, "failed", "error") + f"event: error\ndata: {error}\n\n" + _DONE
        return text

    def _chunk(self, delta: Mapping[str, Any], status: str | None = None, reason: str | None = None) -> str:
        members = {
            "id": self._head["id"],
            "object": "response.chunk",
            "created": self._created,
            "model": self._head["model"],
            "delta": delta,
            "status": status,
            "finish_reason": reason,
        }
        return f"data: {dump_line(members)}\n\n"
