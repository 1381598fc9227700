"""Which API key goes to which server: what the request chose gets none but the request's own."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any, Final

from flowrunner import RunContext

from .failures import ModelFailed
from .fields import KEY_FIELDS
from .providers import Provider
from .servers import Origin

#: A key field that holds the name of a variable, without being marked as such.
_VARIABLE_NAME: Final = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+")


def find_key(context: RunContext, values: Mapping[str, Any], provider: Provider, origin: Origin) -> str:
    """Return the API key for a server: that of a field, else what the provider's usual variables hold.

    A key in the flow is meant for the server that its author had in mind. Where the request chose
    another, only fields that the request filled count, not with what the server keeps under the name
    of a variable; the provider's own server gets the provider's own variables besides.

    :raises ModelFailed: for a key that cannot be sent.
    """
    of_request = sorted(context.tweaked.intersection(KEY_FIELDS) - context.kept)
    for name in KEY_FIELDS if origin == "flow" else of_request:
        value = values.get(name)
        if not isinstance(value, str) or not value.strip() or name in context.missing:
            continue
        if _VARIABLE_NAME.fullmatch(value.strip()):
            value = (context.variable(value.strip()) or "") if origin == "flow" else ""
        if value:
            return _checked(name, value.strip())
    for variable in provider.keys if origin != "request" else ():
        found = context.variable(variable)
        if found:
            return _checked(f"the variable {variable}", found.strip())
    return ""


def _checked(place: str, key: str) -> str:
    """Return a key that can be sent.

    :raises ModelFailed: for an object, and for characters that no header takes.
    """
    if key[:1] in ("{", "["):
        raise ModelFailed(f'{place} holds an object, not an API key; a variable is named as {{"$variable": "NAME"}}')
    if not key.isascii() or not key.isprintable():
        raise ModelFailed(f"{place} holds characters that no API key has")
    return key


def no_key(context: RunContext, provider: Provider, origin: Origin) -> str:
    """Return the sentence for a key that is missing."""
    if origin == "request":
        return f"{provider.name} wants an API key, which must come with the request, since the address does"
    named = [variable for name, variable in context.missing.items() if name in KEY_FIELDS and variable]
    wanted = " or ".join(dict.fromkeys([*named, *provider.keys[:1]]))
    unread = [name for name in provider.keys if name in os.environ and name not in context.settings.variables]
    if unread:
        return (
            f"{provider.name} wants an API key: {unread[0]} is in the environment, but FLOWRUNNER_VARIABLES, the list"
            " of what flows may read there, does not name it"
        )
    return f"{provider.name} wants an API key: the variable {wanted} is set nowhere"
