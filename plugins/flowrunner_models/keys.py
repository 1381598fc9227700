"""Which API key is sent to which server."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any, Final

from flowrunner import RunContext, Word

from .failures import ModelFailed
from .fields import KEY_FIELDS
from .providers import Provider
from .servers import Server

#: A key field that holds the name of a variable, without being marked as such.
_VARIABLE_NAME: Final = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+")


def find_key(context: RunContext, values: Mapping[str, Any], provider: Provider, server: Server) -> str:
    """Return the API key for a server: that of a field, else what the provider's usual variables hold.

    A key goes only where its owner is trusted no more than whoever named the server, but the usual
    variables of a provider go to its own server whoever chose that.

    :raises ModelFailed: for a key that cannot be sent.
    """
    for name in KEY_FIELDS:
        value = values.get(name)
        if not isinstance(value, str) or not value.strip() or name in context.missing:
            continue
        given = context.given(name)
        if _VARIABLE_NAME.fullmatch(value.strip()):
            asked = given.word is Word.REQUEST
            value = context.variable(value.strip(), to=server.word, asked=asked) or ""
        elif not server.takes(given.secret):
            continue
        if value:
            return _checked(name, value.strip())
    by_request = server.by_request or server.word is Word.REQUEST
    for variable in provider.keys:
        found = context.variable(variable, to=Word.OPERATOR if server.known else server.word, chosen=by_request)
        if found:
            return _checked(f"the variable {variable}", found.strip())
    return ""


def _checked(place: str, key: str) -> str:
    """Return a key that can be sent.

    :raises ModelFailed: for an object, and for characters that no header takes.
    """
    if key[:1] in ("{", "["):
        raise ModelFailed(f'{place} contains an object, not an API key; name a variable as {{"$variable": "NAME"}}')
    if not key.isascii() or not key.isprintable():
        raise ModelFailed(f"{place} contains characters that are not valid in an API key")
    return key


def no_key(context: RunContext, provider: Provider, server: Server) -> str:
    """Return the sentence for a key that is missing."""
    brought = f"(header X-LANGFLOW-GLOBAL-VAR-{provider.keys[0]})" if provider.keys else "(in api_key)"
    if server.word is Word.REQUEST and not server.known:
        return (
            f"{provider.name} requires an API key, which must be sent with the request {brought}, because"
            f" the address was"
        )
    named = [variable for name, variable in context.missing.items() if name in KEY_FIELDS and variable]
    wanted = " or ".join(dict.fromkeys([*named, *provider.keys[:1]]))
    unread = [name for name in provider.keys if name in os.environ and name not in context.settings.variables]
    if unread:
        return (
            f"{provider.name} requires an API key: {unread[0]} is set in the environment, but not listed in"
            " FLOWRUNNER_VARIABLES"
        )
    if server.by_request or server.word is Word.REQUEST:
        return (
            f"{provider.name}, which the request chose, requires an API key: the variable {wanted} is not set, or"
            f" not available to an API key limited to certain flows; send a key with the request {brought}, or let"
            " the flow choose the provider"
        )
    if server.word is not Word.OPERATOR and not server.known:
        return (
            f"{provider.name} requires an API key: keys from the server's environment are only sent to addresses set by"
            f" the operator, and this one was set by the flow's author; set api_key in the flow, or"
            f" store a variable {wanted}"
        )
    return f"{provider.name} requires an API key: the variable {wanted} is not set"
