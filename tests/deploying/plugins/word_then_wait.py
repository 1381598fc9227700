"""A component that says a word, and the next one when a file is there: do words come as they are said?"""

from __future__ import annotations

import time
from pathlib import Path

from flowrunner import Component, Input, Message, Output, hookimpl


class WordThenWait(Component):
    """Say ``first``, and ``second`` as soon as the file that the message names is there."""

    type_name = "WordThenWait"
    inputs = (Input("input_value", "str"),)
    outputs = (Output("message", "Message"),)
    blocking = True

    def run(self, context, /, *, input_value):
        yield "first "
        place, deadline = Path(str(getattr(input_value, "text", input_value))), time.monotonic() + 60
        while not place.exists() and time.monotonic() < deadline:
            context.cancelled.wait(0.02)
        yield "second"
        return {"message": Message(text="first second")}


@hookimpl
def register_components(register):
    register(WordThenWait)
