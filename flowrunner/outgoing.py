"""The policy for outgoing requests: which addresses and secrets a component may use, and for whom.

A secret goes to addresses only that somebody says who is at least as trusted as its owner, and a
private address is reached only where the operator says it. See docs/security.md.
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

#: Headers that tell nothing about whoever sends them. Any other could hold a secret.
HARMLESS_HEADERS: Final = frozenset(
    {"accept", "accept-language", "cache-control", "content-language", "content-type", "pragma", "range", "user-agent"}
)

Server = tuple[str, str, int]


@dataclass(frozen=True, slots=True)
class Destination:
    """An address that a component is about to reach.

    ``word`` is the least trusted who decided on its scheme, host or port; ``fields`` names the
    inputs in which that was done. ``allowed`` are the private hosts that the settings allow.
    """

    url: str
    word: Word
    fields: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()

    def takes(self, secret: Word) -> bool:
        """Return whether a secret of somebody may go there."""
        return secret <= self.word

    @property
    def may_be_private(self) -> bool:
        """Whether it may be an address of this machine or of its network without being allowed by name."""
        return self.word is Word.OPERATOR

    @property
    def private_hosts(self) -> tuple[str, ...]:
        """What :func:`~flowrunner.checked_address` takes as the hosts that may be private."""
        return ("all",) if self.may_be_private else self.allowed

    def follow(self, url: str) -> Destination:
        """Return where a link on a page leads: unless that is the same server, it is the word of anybody."""
        word = self.word if server_of(url) == server_of(self.url) else Word.REQUEST
        return replace(self, url=url, word=word)

    def checked_address(self) -> str:
        """Look the host up and return the one address to connect to.

        :raises AddressRefused: if the host is private and nobody allows that, or cannot be found.
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
    """Return where an address leads and whose word it is. Ask this before anything is sent.

    A request that changes a path alone leaves the word with whoever wrote the rest.

    :param fields: the inputs that decided on the address.
    :param scheme: what an address without one is taken for.
    :param read: returns the addresses in the value of a field, where it holds something else than addresses.
    """
    server = server_of(url, scheme)
    words = [_word_of(context.given(name), server, scheme, read or addresses_in) for name in fields]
    allowed = tuple(getattr(context.settings, "allow_private_addresses", ()))
    return Destination(url, min(words, default=Word.REQUEST), fields, allowed)


def refuse_secrets(context: RunContext, to: Destination, sent: Mapping[str, Any]) -> None:
    """Refuse to send what may hold a secret to an address that somebody less trusted chose.

    :param sent: what is to be sent, by the input that it comes from; of headers
        :func:`telling_headers`. What is empty does not count.
    :raises AddressRefused: naming the inputs.
    """
    kept = [name for name, value in sent.items() if value and not to.takes(context.given(name).secret)]
    if kept:
        whose = "the request" if to.word is Word.REQUEST else "the author of the flow"
        raise AddressRefused(
            f"the address was set by {whose} ({', '.join(to.fields)}), so values of {' and '.join(kept)}, which"
            " may hold secrets of others, are not sent to it: leave it out, or set the server in the flow itself"
        )


def telling_headers(headers: Mapping[str, Any]) -> dict[str, Any]:
    """Return the headers that could hold a secret: all but those such as ``Accept``."""
    return {name: value for name, value in headers.items() if name.strip().lower() not in HARMLESS_HEADERS}


def weakest_address(
    inputs: Mapping[str, Input], values: Mapping[str, Any], given: Callable[[str], Given]
) -> Word | None:
    """Return the least trusted who decided on any address of a component; None if it has no address."""
    words = []
    for name, declared in inputs.items():
        if not declared.holds_address:
            continue
        found = addresses_in(values.get(name))
        one = given(name)
        words += [_word_of(one, server_of(url), "https", addresses_in) for url in found]
        if not found and one.word is not one.own_word and addresses_in(one.own):
            # Blanking an address chooses another one.
            words.append(one.word)
    return min(words, default=None)


def server_of(url: str, scheme: str = "https") -> Server | None:
    """Return scheme, host and port of an address; None if it cannot be read."""
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


#: A comma parts two addresses only where another one follows; else it belongs to one.
_BETWEEN: Final = re.compile(r",(?=https?:)")


def _word_of(given: Given, server: Server | None, scheme: str, read: Callable[[Any], Iterable[str]]) -> Word:
    """Return whose word the server of an address is, if a field has it."""
    if given.own_word <= given.word or server is None:
        return given.word
    if any(server_of(own, scheme) == server for own in read(given.own)):
        return given.own_word
    return given.word
