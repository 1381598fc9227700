"""Which addresses the server may connect to for a request: public ones, and those the operator lists."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

#: Blocks that are not public, whatever the present Python's ``is_global`` says of them: its table changed with patches.
_NOT_PUBLIC: Final = tuple(
    ipaddress.ip_network(block)
    for block in (
        "192.0.0.0/24",
        "192.88.99.0/24",
        "2001:db8::/32",
        "3fff::/20",
        "fec0::/10",
        "64:ff9b:1::/48",
        "2001::/32",
        "5f00::/16",
        "100::/64",
    )
)
#: Within these blocks two addresses that are (RFC 7723, RFC 8155).
_PUBLIC_AFTER_ALL: Final = frozenset(map(ipaddress.ip_address, ("192.0.0.9", "192.0.0.10")))
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
#: What this machine calls itself; an open server refuses requests that name any other host.
LOCAL_NAMES: Final = ("localhost", "127.0.0.1", "[::1]")


def network_of(address: str | None) -> str:
    """Return by what a client is counted: its address; of IPv6 the network, since one machine has a whole one.

    What is not an address stays as it is; a socket file has none, and is the empty text.
    """
    try:
        found = ipaddress.ip_address(address or "")
    except ValueError:
        return address or ""
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found)


class AddressRefused(ValueError):
    """A host that is private, loopback or link-local, or that cannot be found."""


def checked_address(host: str, allowed: Iterable[str] = ()) -> str:
    """Return the one address at which a host may be reached; connect to that, not to the name again.

    Every address of the name must be public: one that is not could be the one that is used.

    :param allowed: host names, addresses or networks that may be private; ``all`` for every one.
    :raises AddressRefused: naming the host.
    """
    wanted = tuple(allowed)
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise AddressRefused(f"the host {host[:200]} cannot be resolved") from None
    addresses = [str(entry[4][0]).partition("%")[0] for entry in found]
    if not addresses:
        raise AddressRefused(f"the host {host[:200]} has no address")
    if "all" in wanted or host.lower().rstrip(".") in (name.lower() for name in wanted):
        return addresses[0]
    networks = _networks(wanted)
    for text in addresses:
        address = ipaddress.ip_address(text)
        if not is_public(address) and not any(address in network for network in networks):
            raise AddressRefused(
                f"the host {host[:200]} has a private address, which is not allowed"
                " (add the host or network to FLOWRUNNER_ALLOW_PRIVATE_ADDRESSES)"
            )
    return addresses[0]


def is_public(address: Address) -> bool:
    """Return whether an address belongs to the public internet, also one that is wrapped in IPv6."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if address.sixtofour is not None:
            return is_public(address.sixtofour)
        if address in _NAT64:
            return is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    if address in _PUBLIC_AFTER_ALL:
        return True
    if any(address in block for block in _NOT_PUBLIC):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _networks(names: Iterable[str]) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    found = []
    for name in names:
        try:
            found.append(ipaddress.ip_network(name, strict=False))
        except ValueError:
            continue
    return found


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
