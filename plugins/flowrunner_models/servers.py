"""Which server a model is on, and who chose it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from flowrunner import Destination, RunContext, Word, destination

from .connections import SdkHeaders
from .failures import ModelFailed, ModelNotChosen
from .fields import OLLAMA_URL, URL_FIELDS
from .model_choice import Choice, split_name
from .providers import Provider, find_provider

#: What decides on the provider.
_CHOICE: Final = frozenset({"provider", "model", "llm", "agent_llm", "model_name", "azure_deployment"})


@dataclass(frozen=True, slots=True)
class Server:
    """Where a model is asked.

    ``word`` is the least trusted who decided on it, and so whose secrets may go there. ``known`` says
    that it stands in the table of providers: what the usual variables of its provider hold goes there
    whoever chose it. ``addresses`` looks its host up and refuses a private one; None where it need
    not. ``is_setting`` says that the operator's settings put it in place of the provider's own,
    ``by_request`` that the request chose the provider.
    """

    url: str
    word: Word
    known: bool = False
    addresses: Callable[[], Mapping[str, str]] | None = None
    is_setting: bool = False
    by_request: bool = False

    def takes(self, secret: Word) -> bool:
        """Return whether a secret of somebody may go there."""
        return secret <= self.word

    def sdk_headers(self, provider: Provider, key: str) -> SdkHeaders:
        """Return which headers out of this server's environment go there: they are OpenAI's, as is the account."""
        if provider.name != "OpenAI":
            return "none"
        if self.is_setting:
            return "custom"
        own_key = key and key in [os.environ.get(name) for name in provider.keys]
        return "all" if self.known and own_key else "none"


def find_server(context: RunContext, values: Mapping[str, Any], provider: Provider, *, chosen: Word | None) -> Server:
    """Return the server that settings mean: the operator's, else that of a field, else the provider's own.

    :param chosen: who chose the provider, if that was somebody less trusted than the flow.
    :raises ModelFailed: if there is none, or its address is of no use.
    """
    own = own_url(context.settings, provider)
    if own:
        return Server(own, Word.OPERATOR, is_setting=True, by_request=chosen is Word.REQUEST)
    given, word = _given_url(context, values, provider, chosen=chosen)
    url = _full_url(given, provider)
    if not url:
        raise ModelNotChosen(f"{provider.name} has no address of its own: set base_url")
    if given:
        return Server(url, word, addresses=None if word is Word.OPERATOR else _checked(url, context, word))
    trusted = chosen is None and word >= context.word
    return Server(
        url,
        Word.OPERATOR if trusted else min(word, chosen or word),
        known=True,
        # Providers on this machine are for its operator; the others are public.
        addresses=_checked(url, context, Word.REQUEST)
        if url.startswith("http:") and not (trusted and _is_operators_choice(context, provider))
        else None,
    )


def chosen_by(
    context: RunContext, values: Mapping[str, Any], found: Choice, choose: Callable[[Mapping[str, Any]], Choice]
) -> Word | None:
    """Return who decided which provider is asked, where somebody less trusted than the flow did.

    Without their fields another would be asked, or none. Of the ``llm`` library the name of the model
    alone decides whose server is asked.
    """
    decided = {name: word for name in _CHOICE if (word := context.word_of(name)) < context.word}
    if not decided:
        return None
    word = min(decided.values())
    try:
        other = choose({k: v for k, v in values.items() if k not in decided})
    except ModelNotChosen:
        return word
    same = other == found if found.provider.kind == "llm" else other.provider is found.provider
    return None if same else word


def _is_operators_choice(context: RunContext, provider: Provider) -> bool:
    """Return whether the operator chose a provider: in a flow of theirs, or as the model of all components."""
    usual = split_name(getattr(context.settings, "model", ""))[0]
    return context.word is Word.OPERATOR or (usual != "" and find_provider(usual) is provider)


def own_url(settings: Any, provider: Provider) -> str:
    """Return the address that the operator set for a provider, if any."""
    for entry in getattr(settings, "model_base_urls", ()):
        name, _, url = entry.partition("=")
        if name.strip() == "all" or find_provider(name) is provider:
            return str(url).strip()
    return ""


def _given_url(
    context: RunContext, values: Mapping[str, Any], provider: Provider, *, chosen: Word | None
) -> tuple[str, Word]:
    """Return the address in the settings, and the least trusted who had a hand in it, be it by blanking another."""
    names = [*URL_FIELDS, OLLAMA_URL] if provider.name == "Ollama" else list(URL_FIELDS)
    word = context.word
    for name in names:
        value = values.get(name)
        if name in context.missing:
            # The mark is often set beside a plain address; an address is not a name of a variable.
            value = context.missing[name] if "://" in context.missing[name] else ""
        url = value.strip() if isinstance(value, str) else ""
        if name == OLLAMA_URL and chosen is not None:
            word = min(word, chosen)
        word = min(word, destination(context, url, name, scheme="http").word)
        if url:
            return url, word
    return "", word


def is_own_address(url: str, provider: Provider) -> bool:
    """Return whether an address is the provider's own."""
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
        raise ModelFailed("the address of the model server is not an http or https URL")
    path = parts.path.rstrip("/")
    path = path.removesuffix("/chat/completions")
    return f"{parts.scheme}://{parts.netloc}{path or provider.path}"


def _checked(url: str, context: RunContext, word: Word) -> Callable[[], Mapping[str, str]]:
    allowed = tuple(getattr(context.settings, "allow_private_addresses", ()))
    to = Destination(url, word, allowed=allowed)

    def addresses() -> Mapping[str, str]:
        return {urlsplit(url).hostname or "": to.checked_address()}

    return addresses
