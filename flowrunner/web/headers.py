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
#: Headers of answers that are data: no browser may take them for a page, show them in one, or keep them.
_DATA: Final = {
    "x-content-type-options": ("X-Content-Type-Options", "nosniff"),
    "content-security-policy": ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    "cache-control": ("Cache-Control", "no-store"),
}
#: Headers of pages and what they load; what a page may load and who may show it is its own affair.
_PAGE: Final = {
    "x-content-type-options": ("X-Content-Type-Options", "nosniff"),
    "referrer-policy": ("Referrer-Policy", "no-referrer"),
    "cache-control": ("Cache-Control", "no-store"),
}
_PAGES: Final = ("text/html", "text/css", "text/javascript", "application/javascript", "image/", "font/")

#: Checks of the server: a load balancer asks by address, and the answer tells nothing.
_HEALTH: Final = ("health", "ready")

_started: Final[ContextVar[float]] = ContextVar("flowrunner_started")
_access: Final = logging.getLogger("flowrunner.access")

#: When a client may try again where nobody knows better.
_RETRY_SECONDS: Final = "2"

#: Where a request keeps the id that it was given.
_NAMED: Final = "flowrunner.request_id"


class TrustedHosts:
    """The hosts that requests may name, against DNS rebinding. Empty: any.

    :param names: host names; ``.example.org`` stands for the name and all below it. A port is left out.
    """

    def __init__(self, names: Iterable[str]) -> None:
        plain = [_host_name(name) for name in names]
        self._exact = frozenset(name.lstrip(".") for name in plain)
        self._below = tuple(name for name in plain if name.startswith("."))

    def __bool__(self) -> bool:
        return bool(self._exact)

    def trusts(self, host: str) -> bool:
        """Say whether a request may name a host, given as its ``Host`` header says."""
        name = _host_name(host)
        return name in self._exact or (bool(self._below) and name.endswith(self._below))


class HostNotTrusted(BadRequest):
    """The host that a request names is not trusted."""

    code = "host_not_trusted"


class Hygiene:
    """The hooks around every request of a runner's blueprint. Every request pays for them, so they are lean."""

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
            refuse_frames(response)
        for name, header in (_PAGE if kind.startswith(_PAGES) else _DATA).items():
            if name not in given:
                headers.add(*header)
        # A site that refuses a request by itself does so before our hooks see it.
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
        # Not opened for this: an answer of a store that cannot be opened is counted by none.
        metrics = self._runner.metrics if self._runner.is_open else None
        if metrics is not None:
            endpoint = (request.endpoint or "").rsplit(".", 1)[-1]
            metrics.observe_request(endpoint, request.method, response.status_code, seconds)

    def _log(self, status: int, milliseconds: float) -> None:
        """Write the line of a request that was answered; neither query, headers nor bodies are ever in it."""
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
    """Return the name in a ``Host`` header: lower case, without port and closing dot."""
    host = host.strip().lower()
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0].rstrip(".")
