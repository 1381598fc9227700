"""A run whose answer is printed as it comes, and which Ctrl-C stops."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from flowrunner.cli.output import say
from flowrunner.components.cancelling import CancelToken
from flowrunner.identity import LOCAL_IDENTITY

if TYPE_CHECKING:
    from flowrunner.engine.events import RunEvent
    from flowrunner.engine.request import RunRequest
    from flowrunner.engine.result import RunResult
    from flowrunner.flows.model import Flow
    from flowrunner.runner import Runner

_LOOK_SECONDS = 0.1


def reply(runner: Runner, flow: Flow, request: RunRequest) -> RunResult:
    """Run a flow and print its answer, piece by piece where it streams.

    Ctrl-C cancels the run; what was said until then stays printed.

    :raises RunCancelled: if it was cancelled.
    :raises FlowRunnerError: what stopped the run.
    """
    shown = _Shown()
    request = replace(request, streaming=True)
    cancelled = CancelToken()
    over = threading.Event()
    ended: list[RunResult | BaseException] = []

    def run() -> None:
        try:
            ended.append(runner.execute(flow, request, LOCAL_IDENTITY, emit=shown.take, cancelled=cancelled))
        except BaseException as error:
            ended.append(error)
        finally:
            over.set()

    threading.Thread(target=run, name="flowrunner-reply", daemon=True).start()
    # An event, since a thread that Ctrl-C kept from being joined counts as ended.
    while not over.is_set():
        try:
            over.wait(_LOOK_SECONDS)
        except KeyboardInterrupt:
            cancelled.cancel("it was interrupted")
    (end,) = ended
    if isinstance(end, BaseException):
        shown.end("")
        raise end
    shown.end(end.text)
    return end


class _Shown:
    """What of an answer is on the screen already."""

    def __init__(self) -> None:
        self._message = ""
        self._text = ""

    def take(self, event: RunEvent) -> None:
        """Print the pieces of an answer."""
        if event.kind != "token":
            return
        if self._message and event.data["message_id"] != self._message:
            say()
            self._text = ""
        self._message = event.data["message_id"]
        self._text += event.data["text"]
        say(event.data["text"], nl=False)

    def end(self, text: str) -> None:
        """Print what has not been shown of the whole answer, and end the line."""
        if self._text and (not text or self._text.strip() == text.strip()):
            say()
            return
        if self._text:
            say()
        if text or not self._text:
            say(text)
