"""Checks of access: addresses, API keys, trusted hosts, proxy headers."""

from __future__ import annotations

from collections.abc import Iterator

from flowrunner.addresses import is_loopback
from flowrunner.doctor.finding import Diagnosis, error, warning
from flowrunner.doctor.installation import Installation
from flowrunner.errors import SettingsInvalid
from flowrunner.settings.reading import PREFIX
from flowrunner.settings.setting import Settings
from flowrunner.settings.values import split_address


def find_open_doors(installation: Installation) -> Iterator[Diagnosis]:
    """Find what lets in more people than was meant."""
    settings = installation.settings
    if settings is None:
        return
    if not listens_here_only(settings):
        yield from _where_others_reach(settings)
    if settings.key_in_query:
        message = f"{PREFIX}KEY_IN_QUERY lets clients send the API key in the URL, which proxies and browsers log."
        yield warning("key-in-address", message, "Turn it off; clients send the header x-api-key.")
    if "*" in settings.cors_origins:
        message = f"{PREFIX}CORS_ORIGINS is *: any website may call the API from its visitors' browsers."
        yield warning("origins-unchecked", message, "List the origins of your own pages.")
    if "*" in installation.environ.get("FORWARDED_ALLOW_IPS", "").replace(",", " ").split():
        message = "FORWARDED_ALLOW_IPS is *: any client may forge its address, scheme and path."
        yield warning("proxy-unchecked", message, "List the addresses of your proxies.")


def _where_others_reach(settings: Settings) -> Iterator[Diagnosis]:
    bind = settings.bind
    if settings.auth == "none":
        message = f"{PREFIX}AUTH is none and {PREFIX}BIND {bind}, which other machines can reach."
        yield error("open-to-others", message, f"Listen on 127.0.0.1, or set {PREFIX}AUTH to key.")
    if not settings.trusted_hosts:
        message = (
            f"{PREFIX}TRUSTED_HOSTS is not set and {PREFIX}BIND {bind}: requests with any Host header are answered."
        )
        yield warning("hosts-unchecked", message, f"Set {PREFIX}TRUSTED_HOSTS to the names of the server.")
    if "all" in settings.allow_private_addresses:
        message = f"{PREFIX}ALLOW_PRIVATE_ADDRESSES is all: flows may fetch from any machine on the internal network."
        yield warning("private-addresses-open", message, "List the hosts or networks that flows need.")


def listens_here_only(settings: Settings) -> bool:
    """Return whether only this machine reaches the address of a server."""
    if settings.bind.startswith("unix:"):
        return True
    try:
        host, _ = split_address(settings.bind)
    except SettingsInvalid:
        return False
    return is_loopback(host)
