"""Which server a model is asked at, and how far the request had a hand in that."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from flowrunner import RunContext, checked_address

from .choosing import Choice
from .failures import ModelFailed, ModelNotChosen
from .fields import OLLAMA_URL, URL_FIELDS
from .providers import Provider, find_provider

#: Whose word an address is. Of ``request`` it is the request's own; of ``provider`` the request chose
#: the provider only, which is reached at its own address.
Origin = Literal["flow", "provider", "request"]

#: What decides on the provider.
_CHOICE: Final = frozenset({"provider", "model", "llm", "agent_llm", "model_name", "azure_deployment"})


@dataclass(frozen=True, slots=True)
class Server:
    """Where a model is asked. ``addresses`` looks its host up and refuses a private one; None where it need not."""

    url: str
    origin: Origin
    addresses: Callable[[], Mapping[str, str]] | None = None


def find_server(context: RunContext, values: Mapping[str, Any], provider: Provider, *, chosen: bool) -> Server:
    """Return the server that settings mean: the operator's, else that of a field, else the provider's own.

    :param chosen: whether the request chose the provider.
    :raises ModelFailed: if there is none, or its address is of no use.
    """
    own = own_url(context.settings, provider)
    if own:
        return Server(own, "flow")
    given, by_request = _given_url(context, values, provider, chosen=chosen)
    url = _full_url(given, provider)
    if not url:
        raise ModelNotChosen(f"{provider.name} has no address of its own: set base_url")
    if given:
        return Server(url, "request", _checked(url, context)) if by_request else Server(url, "flow")
    if not (by_request or chosen):
        return Server(url, "flow")
    # Providers on this machine are for its operator and for authors of flows; the others are public.
    return Server(url, "provider", _checked(url, context) if url.startswith("http:") else None)


def chosen_by_request(
    context: RunContext, values: Mapping[str, Any], found: Choice, choose: Callable[[Mapping[str, Any]], Choice]
) -> bool:
    """Say whether the request decided which provider is asked: without its fields another would be, or none.

    Of the ``llm`` library the name of the model alone decides whose server is asked.
    """
    decided = {name for name in _CHOICE if is_from_request(context, name)}
    if not decided:
        return False
    try:
        other = choose({k: v for k, v in values.items() if k not in decided})
    except ModelNotChosen:
        return True
    return other != found if found.provider.kind == "llm" else other.provider is not found.provider


def is_from_request(context: RunContext, name: str) -> bool:
    """Say whether the value of an input came with the request, or may have: over an edge."""
    return name in context.tweaked or bool(context.sources.get(name))


def own_url(settings: Any, provider: Provider) -> str:
    """Return the address that the operator set for a provider, if any."""
    for entry in getattr(settings, "model_base_urls", ()):
        name, _, url = entry.partition("=")
        if name.strip() == "all" or find_provider(name) is provider:
            return str(url).strip()
    return ""


def _given_url(context: RunContext, values: Mapping[str, Any], provider: Provider, *, chosen: bool) -> tuple[str, bool]:
    """Return the address in the settings, and whether the request had a hand in it, be it by blanking another."""
    names = [*URL_FIELDS, OLLAMA_URL] if provider.name == "Ollama" else list(URL_FIELDS)
    by_request = False
    for name in names:
        by_request = by_request or is_from_request(context, name) or (name == OLLAMA_URL and chosen)
        value = values.get(name)
        if name in context.missing:
            # The mark is often set beside a plain address; an address is no name of a variable.
            value = context.missing[name] if "://" in context.missing[name] else ""
        if isinstance(value, str) and value.strip():
            return value.strip(), by_request
    return "", by_request


def is_own_address(url: str, provider: Provider) -> bool:
    """Say whether an address is the provider's own."""
    return url == _full_url("", provider)


def _full_url(given: str, provider: Provider) -> str:
    if not given:
        return provider.base_url
    url = given if "://" in given else f"http://{given}"
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ModelFailed("the address of the model server is no http or https address")
    path = parts.path.rstrip("/")
    path = path.removesuffix("/chat/completions")
    return f"{parts.scheme}://{parts.netloc}{path or provider.path}"


def _checked(url: str, context: RunContext) -> Callable[[], Mapping[str, str]]:
    allowed = getattr(context.settings, "allow_private_addresses", ())

    def addresses() -> Mapping[str, str]:
        host = urlsplit(url).hostname or ""
        return {host: checked_address(host, allowed)}

    return addresses
