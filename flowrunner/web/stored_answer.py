"""Answers in the form in which they are stored for requests with an ``Idempotency-Key``."""

from __future__ import annotations

import json
from typing import Final

from flask import Response

from flowrunner.web.json_io import dumps

#: The header that marks the stored answer of an earlier request with the same key.
REPLAYED: Final = "Idempotent-Replayed"
#: Headers that are stored with an answer.
_KEPT_HEADERS: Final = ("content-type", "x-run-id", "x-accel-buffering", "cache-control")


def as_text(response: Response) -> str:
    """Return an answer in the form in which it is stored: status, headers and body."""
    headers = [[name, value] for name, value in response.headers if name.lower() in _KEPT_HEADERS]
    return dumps([response.status_code, headers, response.get_data(as_text=True)])


def replay(text: str) -> Response:
    """Return a stored answer, marked as such."""
    status, headers, body = json.loads(text)
    response = Response(body, status=status, headers=[(name, value) for name, value in headers])
    response.headers[REPLAYED] = "true"
    return response
