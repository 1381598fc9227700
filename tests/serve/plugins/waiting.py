"""A component that says that it has begun and ends when it is told to, by files."""

from __future__ import annotations

import time
from pathlib import Path

from flowrunner import Component, Input, Output, hookimpl


class WaitForFile(Component):
    """Write ``begun`` into a folder, then wait until ``go`` is there."""

    type_name = "WaitForFile"
    inputs = (Input("input_value", "str"), Input("folder", "str"))
    outputs = (Output("message"),)
    blocking = True

    def run(self, context, input_value, folder):
        Path(folder, "begun").touch()
        deadline = time.monotonic() + 60
        while not Path(folder, "go").exists() and time.monotonic() < deadline:
            context.cancelled.wait(0.02)
        return {"message": input_value}


@hookimpl
def register_components(register):
    register(WaitForFile)
