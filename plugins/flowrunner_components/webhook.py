"""Webhook: the body of a request from another program starts the flow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flowrunner import Component, Input, Output, RunContext

from .structured_text import read_json


class Webhook(Component):
    """Receive the body that another program sends, as an object."""

    type_name = "Webhook"
    input_kind = "webhook"
    inputs = (Input("data", "str", aliases=("payload",), info="the body of the request"),)
    outputs = (Output("output_data", "Data", aliases=("data",)),)

    def run(self, context: RunContext, /, *, data: str) -> Mapping[str, Any]:
        """Return the body as an object; whatever is not JSON object stands under ``payload``."""
        return {"output_data": read_payload(data)}


def read_payload(text: str) -> dict[str, Any]:
    """Return a body as an object: empty for no body, under ``payload`` if it is not a JSON object."""
    if not text:
        return {}
    try:
        found = read_json(text)
    except (ValueError, RecursionError):
        return {"payload": text}
    return found if isinstance(found, dict) else {"payload": found}
