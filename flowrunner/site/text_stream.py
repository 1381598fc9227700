"""The answer of a run as a stream of text."""

from __future__ import annotations

from collections.abc import Iterator

from flowrunner.engine.events import RunEvent
from flowrunner.errors import RunCancelled
from flowrunner.runs.idempotency import Claim
from flowrunner.web.call import Call
from flowrunner.web.json_io import dumps
from flowrunner.web.streams import RunStream


class TextStream(RunStream):
    """A run whose answer is streamed as text: the text of a model as it is generated, or the whole text at the end.

    If several messages are streamed, the first one is used.

    :raises FlowRunnerError: if the run fails before its first event.
    """

    def __init__(self, call: Call, claim: Claim | None = None) -> None:
        self._spoken: str | None = None
        self._said = ""
        super().__init__(call, self._piece, claim)

    def pieces(self) -> Iterator[str]:
        """Yield the parts as they are generated. Closing the iterator early cancels the run.

        :raises FlowRunnerError: if the run fails; nothing if it is cancelled since the visitor has left.
        """
        yield from self.listen(joined=False)
        if isinstance(self.failure, RunCancelled) and self._presence.is_over():
            # The visitor has left: a server would log the error as one of the site.
            return
        if self.failure is not None:
            raise self.failure

    def whole(self, text: str) -> str:
        """Return the stored form: the text, and the error that ended it."""
        failure = self.failure
        error = None if failure is None else [failure.status, failure.code, failure.message]
        return dumps({"text": text, "error": error})

    def _piece(self, event: RunEvent) -> str:
        data = event.data
        if event.kind == "token":
            self._spoken = self._spoken or data["message_id"]
            if data["message_id"] == self._spoken:
                self._said += data["text"]
                return str(data["text"])
        elif event.kind == "run_finished" and data["result"].text != self._said:
            return str(data["result"].text)
        return ""
