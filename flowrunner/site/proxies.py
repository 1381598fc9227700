"""What proxies in front of a server of its own say of a request: who asked, by which scheme, below which path."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from werkzeug.middleware.proxy_fix import ProxyFix

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_HEADER: Final = "HTTP_X_FORWARDED_PREFIX"
#: A path as it stands in a link: no host, no way up, nothing that ends an attribute or a header.
_PREFIX: Final = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~-]+)+")


class TrustedProxies:
    """Takes over what proxies have put into the headers ``X-Forwarded-For``, ``-Proto`` and ``-Prefix``.

    :param app: the app behind them.
    :param count: proxies that add to the first two. The prefix is the last word said of it: the
        nearest proxy that names one has taken it off the path.
    """

    def __init__(self, app: WSGIApplication, count: int) -> None:
        self._app = ProxyFix(app, x_for=count, x_proto=count, x_prefix=1)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request; a prefix that is not plain path is as if there were none."""
        given = environ.pop(_HEADER, None)
        if given is not None:
            prefix = given.rpartition(",")[2].strip().rstrip("/")
            if _PREFIX.fullmatch(prefix):
                environ[_HEADER] = prefix
        return self._app(environ, start_response)
