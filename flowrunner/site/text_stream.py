"""The answer of a run as a stream of text."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

from flowrunner.errors import RunCancelled
from flowrunner.web.streams import RunStream


def text_pieces(stream: RunStream) -> Iterator[str]:
    """Yield the answer of a run: what a model says as it says it, else the whole text at the end.

    Where several messages are streamed, the first of them counts. Leaving early stops the run.

    :raises FlowRunnerError: what stopped the run.
    """
    spoken, said = None, ""
    events: Any = stream.batches()
    with closing(events) as batches:
        for event in (event for batch in batches for event in batch):
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
