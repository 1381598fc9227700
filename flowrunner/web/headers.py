"""Hooks around every request of the blueprint: request ids, trusted hosts, CORS, security headers, access log."""

from __future__ import annotations

import itertools
import logging
import os
import re
import secrets
import time
from collections.abc import Iterable
from contextvars import ContextVar
from typing import Any, Final
from urllib.parse import quote

from flask import Response, request

from flowrunner.errors import BadRequest
from flowrunner.identity import Identity
from flowrunner.runner import Runner
from flowrunner.store.credentials import mask_text
from flowrunner.telemetry.correlation import REQUEST_ID
from flowrunner.web.auth import IDENTITY, this_request
from flowrunner.web.cors import Cors
from flowrunner.web.site_hooks import refuse_frames

_GIVEN_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}")
#: Headers of data: browsers must not interpret it as a page, show it in a frame, or cache it.
_DATA: Final = {
    "x-content-type-options": ("X-Content-Type-Options", "nosniff"),
    "content-security-policy": ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    "cache-control": ("Cache-Control", "no-store"),
}
#: Headers of pages and their files; pages set their own Content-Security-Policy.
_PAGE: Final = {
    "x-content-type-options": ("X-Content-Type-Options", "nosniff"),
    "referrer-policy": ("Referrer-Policy", "no-referrer"),
    "cache-control": ("Cache-Control", "no-store"),
}
_PAGES: Final = ("text/html", "text/css", "text/javascript", "application/javascript", "image/", "font/")

#: Health checks: a load balancer calls them by address, and the answers reveal nothing.
_HEALTH: Final = ("health", "ready")

_started: Final[ContextVar[float]] = ContextVar("flowrunner_started")
_access: Final = logging.getLogger("flowrunner.access")

#: The default of Retry-After.
_RETRY_SECONDS: Final = "2"

#: The key of the request id in the environ.
_NAMED: Final = "flowrunner.request_id"


class TrustedHosts:
    """The host names allowed in requests, against DNS rebinding. Empty: all.

    :param names: host names; ``.example.org`` includes subdomains. Ports are ignored.
    """

    def __init__(self, names: Iterable[str]) -> None:
        plain = [_host_name(name) for name in names]
        self._exact = frozenset(name.lstrip(".") for name in plain)
        self._below = tuple(name for name in plain if name.startswith("."))

    def __bool__(self) -> bool:
        return bool(self._exact)

    def trusts(self, host: str) -> bool:
        """Return whether the host in a ``Host`` header is allowed."""
        name = _host_name(host)
        return name in self._exact or (bool(self._below) and name.endswith(self._below))


class HostNotTrusted(BadRequest):
    """The host in a request is not trusted."""

    code = "host_not_trusted"


class Hygiene:
    """The hooks around every request of a runner's blueprint. They are fast, since they run for each request."""

    def __init__(self, runner: Runner) -> None:
        settings = runner.settings
        self._hosts = TrustedHosts(settings.trusted_hosts)
        self._cors = Cors(settings.cors_origins)
        self._runner = runner
        self._timed = settings.access_log or settings.metrics
        self._word = secrets.token_hex(6)
        self._count = itertools.count(1)

    def before(self) -> Response | None:
        """Set the request id, refuse hosts that are not trusted, answer CORS preflights.

        :raises HostNotTrusted: for a host that is not on the list.
        """
        environ = this_request().environ
        self._name(environ)
        foreign = self._hosts and not self._hosts.trusts(environ.get("HTTP_HOST", ""))
        if foreign and (request.endpoint or "").rsplit(".", 1)[-1] not in _HEALTH:
            raise HostNotTrusted("The host in the request is not trusted: add it to FLOWRUNNER_TRUSTED_HOSTS.")
        if self._cors and environ.get("REQUEST_METHOD") == "OPTIONS":
            return self._cors.preflight(environ)
        return None

    def _name(self, environ: dict[str, Any]) -> str:
        given: str | None = environ.get("HTTP_X_REQUEST_ID")
        if given is None or not _GIVEN_ID.fullmatch(given):
            given = f"{self._word}-{os.getpid():x}-{next(self._count):x}"
        environ[_NAMED] = given
        REQUEST_ID.set(given)
        if self._timed:
            _started.set(time.perf_counter())
        return given

    def after(self, response: Response) -> Response:
        """Add our headers to an answer, and write the access log."""
        headers = response.headers
        given = {name.lower(): value for name, value in headers}
        kind = given.get("content-type", "")
        if kind.startswith("text/html"):
            refuse_frames(headers)
        for name, header in (_PAGE if kind.startswith(_PAGES) else _DATA).items():
            if name not in given:
                headers.add(*header)
        # If the site refuses a request, our before hooks have not run.
        environ = this_request().environ
        headers.add("X-Request-Id", environ.get(_NAMED) or self._name(environ))
        if response.status_code in (429, 503) and "Retry-After" not in headers:
            headers.add("Retry-After", _RETRY_SECONDS)
        if self._cors:
            self._cors.allow(environ, response)
        if self._timed:
            self._note(response)
        return response

    def _note(self, response: Response) -> None:
        now = time.perf_counter()
        seconds = now - _started.get(now)
        if self._runner.settings.access_log and _access.isEnabledFor(logging.INFO):
            self._log(response.status_code, round(seconds * 1000, 1))
        # The runner is not opened for this: if it cannot be opened, requests are not counted.
        metrics = self._runner.metrics if self._runner.is_open else None
        if metrics is not None:
            endpoint = (request.endpoint or "").rsplit(".", 1)[-1]
            metrics.observe_request(endpoint, request.method, response.status_code, seconds)

    def _log(self, status: int, milliseconds: float) -> None:
        """Write the access log line of a request, without query, headers or bodies."""
        identity: Identity | None = request.environ.get(IDENTITY)
        facts = {
            "method": request.method,
            "path": quote(mask_text(request.path), safe="/:@!$&'()*,;=~+"),
            "status": status,
            "milliseconds": milliseconds,
        }
        extra = {**facts, "owner": None if identity is None else identity.id, "remote": request.remote_addr}
        _access.info("%s %s %d %.1f ms", *facts.values(), extra=extra)


def _host_name(host: str) -> str:
    """Return the name in a ``Host`` header in lower case, without port and trailing dot."""
    host = host.strip().lower()
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0].rstrip(".")
