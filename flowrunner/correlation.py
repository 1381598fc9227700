"""The id by which everything that one request caused can be found again."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Final

#: Id of the request that is served in this context; empty outside of requests.
REQUEST_ID: Final[ContextVar[str]] = ContextVar("flowrunner_request_id", default="")
