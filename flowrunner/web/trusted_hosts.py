"""Trusted host names, against DNS rebinding."""

from __future__ import annotations

from collections.abc import Iterable


class TrustedHosts:
    """A list of host names without ports; ``.example.org`` stands for the name and all below it. Empty: any.

    :param names: as the setting lists them; a port is left out.
    """

    def __init__(self, names: Iterable[str]) -> None:
        plain = [host_name(name) for name in names]
        self._exact = frozenset(name.lstrip(".") for name in plain)
        self._below = tuple(name for name in plain if name.startswith("."))

    def __bool__(self) -> bool:
        return bool(self._exact)

    def trusts(self, host: str) -> bool:
        """Say whether a request may name a host, given as its ``Host`` header says."""
        name = host_name(host)
        return name in self._exact or (bool(self._below) and name.endswith(self._below))


def host_name(host: str) -> str:
    """Return the name in a ``Host`` header: lower case, without port and closing dot."""
    host = host.strip().lower()
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0].rstrip(".")
