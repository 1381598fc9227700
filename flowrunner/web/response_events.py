"""The streams of ``/api/v1/responses``: OpenAI's events, and the reference server's chunks."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

from flowrunner.engine.events import RunEvent
from flowrunner.web.json_io import dump_line
from flowrunner.web.reply_text import Reply, usage_of
from flowrunner.web.streams import RunStream


def openai_frames(stream: RunStream, head: Mapping[str, Any]) -> Iterator[str]:
    """Yield a run as the events that OpenAI's clients read."""
    events = _Events(head)
    yield events.frame("response.created", response=dict(head))
    yield events.frame("response.in_progress", response=dict(head))
    reply = Reply()
    for batch in stream.batches():
        text = ""
        for event in batch:
            for part in reply.read(event):
                if part.fresh:
                    text += events.end_item() + events.begin_item()
                text += events.delta(part.text)
            if event.kind == "run_finished":
                text += events.end_item() + events.complete(event)
            elif event.kind in ("run_failed", "run_cancelled"):
                text += events.end_item() + events.fail(event)
        if text:
            yield text


class _Events:
    """Makes the events of one response, numbered."""

    def __init__(self, head: Mapping[str, Any]) -> None:
        self._head = head
        self._number = -1
        self._items: list[dict[str, Any]] = []
        self._text: list[str] | None = None

    def frame(self, kind: str, **members: Any) -> str:
        """Return one event."""
        self._number += 1
        return f"event: {kind}\ndata: {dump_line({'type': kind, 'sequence_number': self._number, **members})}\n\n"

    def begin_item(self) -> str:
        """Begin a text."""
        self._text = []
        item = {"id": self._item_id, "type": "message", "status": "in_progress", "role": "assistant", "content": []}
        return self.frame("response.output_item.added", output_index=len(self._items), item=item) + self.frame(
            "response.content_part.added", **self._place, part=_text_part("")
        )

    def delta(self, text: str) -> str:
        """Continue a text."""
        if self._text is None:
            return ""
        self._text.append(text)
        return self.frame("response.output_text.delta", **self._place, delta=text, logprobs=[])

    def end_item(self) -> str:
        """End the text, if one was begun."""
        if self._text is None:
            return ""
        text, place = "".join(self._text), self._place
        item = {
            "id": self._item_id,
            "type": "message",
            "status": "completed",
            "role": "assistant",
            "content": [_text_part(text)],
        }
        frames = self.frame("response.output_text.done", **place, text=text, logprobs=[])
        frames += self.frame("response.content_part.done", **place, part=_text_part(text))
        frames += self.frame("response.output_item.done", output_index=len(self._items), item=item)
        self._items.append(item)
        self._text = None
        return frames

    def complete(self, event: RunEvent) -> str:
        """End the response. Its output is that of a plain answer: texts before the last were steps to it."""
        response = {**self._head, "status": "completed", "output": self._items[-1:], "usage": _usage(event)}
        return self.frame("response.completed", response=response)

    def fail(self, event: RunEvent) -> str:
        """End the response with a failure."""
        message, _ = _failure(event)
        error = {"code": "server_error", "message": message}
        return self.frame(
            "response.failed", response={**self._head, "status": "failed", "output": self._items, "error": error}
        )

    @property
    def _item_id(self) -> str:
        number = len(self._items)
        return f"msg_{self._head['id']}" + (f"_{number}" if number else "")

    @property
    def _place(self) -> dict[str, Any]:
        return {"item_id": self._item_id, "output_index": len(self._items), "content_index": 0}


def chunk_frames(stream: RunStream, head: Mapping[str, Any]) -> Iterator[str]:
    """Yield a run as the reference server does: ``response.chunk`` objects, then ``[DONE]``."""
    created = int(time.time())

    def chunk(delta: Mapping[str, Any], status: str | None = None, reason: str | None = None) -> str:
        members = {
            "id": head["id"],
            "object": "response.chunk",
            "created": created,
            "model": head["model"],
            "delta": dict(delta),
            "status": status,
            "finish_reason": reason,
        }
        return f"data: {dump_line(members)}\n\n"

    yield chunk({"content": ""})
    reply = Reply()
    for batch in stream.batches():
        text = ""
        for event in batch:
            for part in reply.read(event):
                text += chunk({"content": part.text})
            if event.kind == "run_finished":
                text += chunk({}, "completed", "stop")
                done = {name: head[name] for name in ("id", "object", "created_at", "model")}
                done.update(status="completed", usage=_usage(event))
                completed = dump_line({"type": "response.completed", "response": done})
                text += f"event: response.completed\ndata: {completed}\n\n"
                text += "data: [DONE]\n\n"
            elif event.kind in ("run_failed", "run_cancelled"):
                message, code = _failure(event)
                error = {"error": {"message": message, "type": "processing_error", "code": code}}
                text += chunk({"content": message}, "failed", "error") + f"event: error\ndata: {dump_line(error)}\n\n"
                text += "data: [DONE]\n\n"
        if text:
            yield text


def _usage(event: RunEvent) -> dict[str, Any] | None:
    reported = event.data["result"].reported
    return usage_of(next((v.message for v in reported if v.message is not None), None))


def _failure(event: RunEvent) -> tuple[str, str]:
    if event.kind == "run_failed":
        return event.data["error"].message, event.data["error"].code
    return f"The run was stopped: {event.data['reason']}.", "run_cancelled"


def _text_part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
