"""The policy for outgoing requests: which addresses and secrets a component may use, and for whom.

A secret is sent only to addresses chosen by somebody at least as trusted as its owner, and private addresses are
allowed only if the operator chose them. See docs/security.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import urlsplit

from flowrunner.addresses import AddressRefused, checked_address
from flowrunner.components.context import RunContext
from flowrunner.components.ports import Input
from flowrunner.components.values import text_of
from flowrunner.word import Given, Word

#: Headers that reveal nothing about the sender. All others may contain secrets.
HARMLESS_HEADERS: Final = frozenset(
    {"accept", "accept-language", "cache-control", "content-language", "content-type", "pragma", "range", "user-agent"}
)

Server = tuple[str, str, int]


@dataclass(frozen=True, slots=True)
class Destination:
    """An address that a component is about to connect to.

    ``word`` is the least trusted origin of its scheme, host or port; ``fields`` names the inputs that they come from.
    ``allowed`` are the private hosts that the settings allow.
    """

    url: str
    word: Word
    fields: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()

    def takes(self, secret: Word) -> bool:
        """Return whether a secret with some owner may be sent there."""
        return secret <= self.word

    @property
    def may_be_private(self) -> bool:
        """Whether it may be an address of this machine or network without being listed in the settings."""
        return self.word is Word.OPERATOR

    @property
    def private_hosts(self) -> tuple[str, ...]:
        """The allowed private hosts, for :func:`~flowrunner.checked_address`."""
        return ("all",) if self.may_be_private else self.allowed

    def follow(self, url: str) -> Destination:
        """Return the destination of a link on a page; unless it is the same server, it counts as set by the request."""
        word = self.word if server_of(url) == server_of(self.url) else Word.REQUEST
        return replace(self, url=url, word=word)

    def checked_address(self) -> str:
        """Resolve the host and return the address to connect to.

        :raises AddressRefused: if the host is private and not allowed, or cannot be resolved.
        """
        server = server_of(self.url)
        if server is None:
            raise AddressRefused("the address is not valid")
        return checked_address(server[1], self.private_hosts)


def destination(
    context: RunContext,
    url: str,
    *fields: str,
    scheme: str = "https",
    read: Callable[[Any], Iterable[str]] | None = None,
) -> Destination:
    """Return the destination of an address and its origin. Call this before anything is sent.

    If the request changes only the path, the origin of the rest counts.

    :param fields: the inputs that the address comes from.
    :param scheme: the default scheme of an address.
    :param read: returns the addresses in the value of a field, if it contains other things too.
    """
    server = server_of(url, scheme)
    words = [_word_of(context.given(name), server, scheme, read or addresses_in) for name in fields]
    allowed = tuple(getattr(context.settings, "allow_private_addresses", ()))
    return Destination(url, min(words, default=Word.REQUEST), fields, allowed)


def refuse_secrets(context: RunContext, to: Destination, sent: Mapping[str, Any]) -> None:
    """Refuse to send possible secrets to an address chosen by somebody less trusted.

    :param sent: the values to send, by input; for headers, use :func:`telling_headers`. Empty values do not count.
    :raises AddressRefused: if a value must not be sent, naming the inputs.
    """
    kept = [name for name, value in sent.items() if value and not to.takes(context.given(name).secret)]
    if kept:
        whose = "the request" if to.word is Word.REQUEST else "the author of the flow"
        raise AddressRefused(
            f"the address was set by {whose} ({', '.join(to.fields)}), so values of {' and '.join(kept)}, which"
            " may hold secrets of others, are not sent to it: leave it out, or set the server in the flow itself"
        )


def telling_headers(headers: Mapping[str, Any]) -> dict[str, Any]:
    """Return the headers that may contain secrets: all except harmless ones such as ``Accept``."""
    return {name: value for name, value in headers.items() if name.strip().lower() not in HARMLESS_HEADERS}


def weakest_address(
    inputs: Mapping[str, Input], values: Mapping[str, Any], given: Callable[[str], Given]
) -> Word | None:
    """Return the least trusted origin of all addresses of a component; None if it has no address."""
    words = []
    for name, declared in inputs.items():
        if not declared.holds_address:
            continue
        found = addresses_in(values.get(name))
        one = given(name)
        words += [_word_of(one, server_of(url), "https", addresses_in) for url in found]
        if not found and one.word is not one.own_word and addresses_in(one.own):
            # An empty address selects the default one.
            words.append(one.word)
    return min(words, default=None)


def server_of(url: str, scheme: str = "https") -> Server | None:
    """Return the scheme, host and port of an address; None if it cannot be parsed."""
    try:
        parts = urlsplit(url if "://" in url else f"{scheme}://{url}")
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if not host:
        return None
    usual = {"http": 80, "https": 443}.get(parts.scheme, 0)
    return parts.scheme, host, usual if port is None else port


def addresses_in(value: Any) -> list[str]:
    """Return the addresses in a value: a text with one or several, or a list of such texts."""
    items = value if isinstance(value, (list, tuple)) else (value,)
    return [word for item in items for word in _BETWEEN.sub(" ", text_of(item)).split()]


#: A comma separates addresses only if another address follows it.
_BETWEEN: Final = re.compile(r",(?=https?:)")


def _word_of(given: Given, server: Server | None, scheme: str, read: Callable[[Any], Iterable[str]]) -> Word:
    """Return the origin of the server of an address in a field."""
    if given.own_word <= given.word or server is None:
        return given.word
    if any(server_of(own, scheme) == server for own in read(given.own)):
        return given.own_word
    return given.word
