"""CORS headers for the origins that the settings list."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from flask import Response

METHODS: Final = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
EXPOSED: Final = "X-Request-Id, X-Next-Cursor, Content-Disposition, X-Run-Id, Retry-After, Idempotent-Replayed"
_PREFLIGHT_SECONDS: Final = "600"
#: Header names requested by a page; anything else is not echoed.
_NAMES: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~ ,-]{1,2000}")


class Cors:
    """The allowed origins; ``*`` allows all. Cookies are never allowed, since the API does not use them.

    :param origins: such as ``https://example.org``; without any, no CORS headers are sent.
    """

    def __init__(self, origins: Iterable[str]) -> None:
        self._origins = frozenset(origin.rstrip("/").lower() for origin in origins)
        self._every = "*" in self._origins

    def __bool__(self) -> bool:
        return bool(self._origins)

    def preflight(self, environ: Mapping[str, Any]) -> Response | None:
        """Answer a preflight request; None if the request is not a preflight from an allowed origin."""
        if "HTTP_ACCESS_CONTROL_REQUEST_METHOD" not in environ or not self._lists(environ.get("HTTP_ORIGIN")):
            return None
        answer = Response(status=204, content_type="text/plain")
        answer.headers["Access-Control-Allow-Methods"] = METHODS
        asked = environ.get("HTTP_ACCESS_CONTROL_REQUEST_HEADERS", "")
        if _NAMES.fullmatch(asked):
            answer.headers["Access-Control-Allow-Headers"] = asked
        answer.headers["Access-Control-Max-Age"] = _PREFLIGHT_SECONDS
        return answer

    def allow(self, environ: Mapping[str, Any], response: Response) -> None:
        """Add the headers that allow a page of a listed origin to read the answer."""
        origin = environ.get("HTTP_ORIGIN")
        if not self._every:
            response.headers.add("Vary", "Origin")
        if origin is not None and self._lists(origin):
            response.headers["Access-Control-Allow-Origin"] = "*" if self._every else origin
            response.headers["Access-Control-Expose-Headers"] = EXPOSED

    def _lists(self, origin: str | None) -> bool:
        return origin is not None and (self._every or origin.lower() in self._origins)
