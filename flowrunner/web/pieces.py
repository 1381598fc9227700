"""The answer of a run as pieces of text, in the order in which they come."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from flowrunner.engine.events import RunEvent
from flowrunner.errors import RunCancelled


def text_pieces(events: Iterable[RunEvent]) -> Iterator[str]:
    """Yield the answer of a run: what a model says as it says it, else the whole text at the end.

    Where several messages are streamed, the first of them counts.

    :raises FlowRunnerError: what stopped the run.
    """
    spoken, said = None, ""
    for event in events:
        data = event.data
        if event.kind == "token":
            spoken = spoken or data["message_id"]
            if data["message_id"] == spoken and data["text"]:
                said += data["text"]
                yield data["text"]
        elif event.kind == "run_failed":
            raise data["error"]
        elif event.kind == "run_cancelled":
            raise RunCancelled(f"The run was stopped: {data['reason']}.")
        elif event.kind == "run_finished":
            text = data["result"].text
            if text and text != said:
                yield text
