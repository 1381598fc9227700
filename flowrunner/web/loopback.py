"""A server without API keys answers requests from this machine only."""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import Final

from flask import Request

from flowrunner.errors import NotAllowed

#: What this machine calls itself; an open server refuses requests that name any other host.
LOCAL_NAMES: Final = ("localhost", "127.0.0.1", "[::1]")

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
#: By these a proxy says for whom it asks.
_FORWARDED: Final = ("HTTP_X_FORWARDED_FOR", "HTTP_X_REAL_IP", "HTTP_FORWARDED")


def refuse_from_elsewhere(request: Request) -> None:
    """Refuse requests from other machines, and from pages of other sites.

    The name that a request gives to this server is looked at before, for all requests.

    :raises NotAllowed: for anything else.
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


@lru_cache(maxsize=256)
def is_loopback(host: str) -> bool:
    """Return whether an address can be reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped.is_loopback
    return address.is_loopback


def _is_here(address: str) -> bool:
    """Return whether an address is on this machine; a socket file has no address and is always local."""
    return not address or is_loopback(address)


def _addresses(header: str) -> list[str]:
    """Return the addresses that a proxy's header names; of what cannot be read, the text, which is none of ours."""
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
