"""A server without API keys answers requests from this machine only."""

from __future__ import annotations

from typing import Final

from flask import Request

from flowrunner.addresses import is_loopback
from flowrunner.errors import NotAllowed

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
#: The headers in which proxies send the address of the client.
_FORWARDED: Final = ("HTTP_X_FORWARDED_FOR", "HTTP_X_REAL_IP", "HTTP_FORWARDED")


def refuse_from_elsewhere(request: Request) -> None:
    """Refuse requests from other machines, and from pages of other sites.

    The host name in the request is checked before, for all requests.

    :raises NotAllowed: for such a request.
    """
    environ = request.environ
    if not _is_here(environ.get("REMOTE_ADDR") or "") or any(
        not _is_here(address) for name in _FORWARDED if name in environ for address in _addresses(environ[name])
    ):
        raise NotAllowed(
            "This server runs without API keys (FLOWRUNNER_AUTH=none) and answers requests from its own machine only:"
            " turn on API keys, and create one with flowrunner keys create --user NAME."
        )
    site = request.headers.get("Sec-Fetch-Site", "")
    origin = request.headers.get("Origin")
    foreign = bool(origin) and request.method not in _SAFE and origin != f"{request.scheme}://{request.host}"
    if site in ("cross-site", "same-site") or foreign:
        raise NotAllowed("Requests from pages of other sites are refused.")


def _is_here(address: str) -> bool:
    """Return whether an address is on this machine; a socket file has no address and is always local."""
    return not address or is_loopback(address)


def _addresses(header: str) -> list[str]:
    """Return the addresses in a proxy's header; parts that cannot be parsed are returned unchanged."""
    found = []
    for part in header.replace(";", ",").split(","):
        name, equals, value = part.strip().partition("=")
        if equals and name.strip().lower() != "for":
            continue
        found.append(_without_port((value if equals else name).strip().strip('"')))
    return found


def _without_port(text: str) -> str:
    if text.startswith("["):
        return text.partition("]")[0].strip("[")
    return text.rpartition(":")[0] if text.count(":") == 1 else text
