"""CORS headers for the origins that the settings list."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from flask import Response

METHODS: Final = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
EXPOSED: Final = "X-Request-Id, X-Next-Cursor, Content-Disposition, X-Run-Id, Retry-After, Idempotent-Replayed"
_PREFLIGHT_SECONDS: Final = "600"
#: Header names that a page asks to send; anything that is not a list of names is not repeated to it.
_NAMES: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~ ,-]{1,2000}")


class Cors:
    """The listed origins; ``*`` lists all. Cookies are never allowed: the API takes none.

    :param origins: such as ``https://example.org``; without any, no answer says anything of CORS.
    """

    def __init__(self, origins: Iterable[str]) -> None:
        self._origins = frozenset(origin.rstrip("/").lower() for origin in origins)
        self._every = "*" in self._origins

    def __bool__(self) -> bool:
        return bool(self._origins)

    def preflight(self, environ: Mapping[str, Any]) -> Response | None:
        """Answer the question that a browser asks first; None if it is no such question of a listed origin."""
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
        """Let a page of a listed origin read an answer."""
        origin = environ.get("HTTP_ORIGIN")
        if not self._every:
            response.headers.add("Vary", "Origin")
        if origin is not None and self._lists(origin):
            response.headers["Access-Control-Allow-Origin"] = "*" if self._every else origin
            response.headers["Access-Control-Expose-Headers"] = EXPOSED

    def _lists(self, origin: str | None) -> bool:
        return origin is not None and (self._every or origin.lower() in self._origins)
