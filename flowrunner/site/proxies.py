"""The headers of trusted proxies in front of the stand-alone server: client address, scheme and path prefix."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from werkzeug.middleware.proxy_fix import ProxyFix

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_HEADER: Final = "HTTP_X_FORWARDED_PREFIX"
#: A plain path: no host, no "..", no character that ends an attribute or a header.
_PREFIX: Final = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~-]+)+")


class TrustedProxies:
    """Applies the headers ``X-Forwarded-For``, ``-Proto`` and ``-Prefix`` of trusted proxies.

    :param app: the app behind the proxies.
    :param count: the number of proxies that add to the first two. The last value of the prefix is used: the nearest
        proxy has removed it from the path.
    """

    def __init__(self, app: WSGIApplication, count: int) -> None:
        self._app = ProxyFix(app, x_for=count, x_proto=count, x_prefix=1)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request; a prefix that is not a plain path is ignored."""
        given = environ.pop(_HEADER, None)
        if given is not None:
            prefix = given.rpartition(",")[2].strip().rstrip("/")
            if _PREFIX.fullmatch(prefix):
                environ[_HEADER] = prefix
        return self._app(environ, start_response)
