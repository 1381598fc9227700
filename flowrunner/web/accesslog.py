"""The access log: one line per request, without secrets."""

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import quote

from flask import Request

from flowrunner.identity import Identity
from flowrunner.store.credentials import mask_text


class AccessLog:
    """Writes to the logger ``flowrunner.access``. Neither query, headers nor bodies are ever written."""

    def __init__(self) -> None:
        self._logger = logging.getLogger("flowrunner.access")

    def note(self, request: Request, status: int, seconds: float, identity: Identity | None) -> None:
        """Write the line of a request that was answered."""
        if not self._logger.isEnabledFor(logging.INFO):
            return
        path = quote(mask_text(request.path), safe="/:@!$&'()*,;=~+")
        milliseconds = round(seconds * 1000, 1)
        extra: dict[str, Any] = {
            "method": request.method,
            "path": path,
            "status": status,
            "milliseconds": milliseconds,
            "owner": None if identity is None else identity.id,
            "remote": request.remote_addr,
        }
        self._logger.info("%s %s %d %.1f ms", request.method, path, status, milliseconds, extra=extra)
