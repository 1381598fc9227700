"""Which MCP server a flow names, and whether it may use it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from flowrunner import Destination, RunContext, Word, destination, refuse_secrets, telling_headers, text_of

from ..fetching import read_headers
from .configured import ServerEntry, entry_of
from .fields import arguments_in

#: The inputs that lead to a command, also where a request leaves one of them blank.
_CHOOSING: Final = ("mcp_server", "command", "mode", "sse_url")


class ServerRefused(ValueError):
    """An MCP server that is not known or may not be used; the text says what to do."""


@dataclass(frozen=True, slots=True)
class ChosenServer:
    """A server that may be used.

    ``address`` is the one to connect to; None where the name will do. ``word`` is the least trusted who chose it.
    """

    entry: ServerEntry
    label: str
    word: Word
    address: str | None = None


def choose_server(context: RunContext, values: Mapping[str, Any]) -> ChosenServer:
    """Return the server that a flow means: one that the operator names, else the one that it describes.

    :raises ServerRefused: if it may not be used.
    :raises AddressRefused: for a private address, or a secret of somebody else.
    """
    name, config = _read(values)
    known = dict(getattr(context.settings, "mcp_servers", ()))
    if name in known:
        return ChosenServer(known[name], name, _word_of_author(context, "mcp_server"))
    if not config:
        raise ServerRefused(
            f"unknown MCP server {name[:100]}: FLOWRUNNER_MCP_SERVERS lists the servers"
            if name
            else "no MCP server is set"
        )
    try:
        entry = entry_of(config)
    except ValueError as error:
        raise ServerRefused(str(error)) from None
    if entry.command:
        word = _word_of_author(context, *_CHOOSING)
        return ChosenServer(_listed(context, entry), name or entry.command[0], word)
    field = "mcp_server" if _config_in(values["mcp_server"]) else "sse_url"
    to = destination(context, entry.url, field, read=_addresses)
    own = read_headers(values["headers"])
    # The server is told the arguments of its tool, too.
    sent = {**arguments_in(values), "headers": telling_headers(own), field: telling_headers(entry.headers)}
    refuse_secrets(context, to, sent)
    return ChosenServer(replace(entry, headers={**entry.headers, **own}), name or entry.url, to.word, _checked(to))


def _word_of_author(context: RunContext, *names: str) -> Word:
    """Return whose word some inputs are.

    :raises ServerRefused: if it is a request's: it chooses among the operator's servers and programs by none of them.
    """
    word = min(context.given(name).word for name in names)
    if word is Word.REQUEST:
        raise ServerRefused("the MCP server is set by the flow's author, not by a request")
    return word


def _read(values: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """Return the name of the server and what the flow says of it."""
    given = _mapping(values["mcp_server"])
    name = str(given.get("name") or "").strip() if given else ""
    if not given and isinstance(values["mcp_server"], str) and "://" not in values["mcp_server"]:
        name = values["mcp_server"].strip()
    config = _config_in(values["mcp_server"])
    if not config:
        # Older releases have fields for each part.
        old = {
            "url": text_of(values["sse_url"]),
            "command": text_of(values["command"]),
            "env": values["env"],
            "mode": values["mode"],
        }
        wants_command = old["mode"] == "Stdio" or not old["url"]
        config = {k: v for k, v in old.items() if v and k != ("url" if wants_command else "command")}
        config = config if config.get("url") or config.get("command") else {}
    return name, config


def _config_in(value: Any) -> Mapping[str, Any]:
    given = _mapping(value)
    inner = given.get("config")
    if isinstance(inner, Mapping) and inner:
        return inner
    return given if given.get("url") or given.get("command") else {}


def _mapping(value: Any) -> Mapping[str, Any]:
    if isinstance(value, str) and "://" in value.partition("{")[0]:
        return {"url": value.strip()}
    if isinstance(value, str) and value.strip().startswith("{"):
        try:
            value = json.loads(value)
        except ValueError:
            return {}
    return value if isinstance(value, Mapping) else {}


def _addresses(value: Any) -> list[str]:
    found = _config_in(value)
    url = (found.get("url") or found.get("sse_url")) if found else value
    return [url] if isinstance(url, str) and url else []


def _listed(context: RunContext, entry: ServerEntry) -> ServerEntry:
    """Return a command if the operator lists it, word by word: whoever chooses a command runs programs here."""
    if entry.command not in getattr(context.settings, "mcp_commands", ()):
        raise ServerRefused(
            f"the command {shlex.join(entry.command)[:200]!r} is not listed by the operator in"
            " FLOWRUNNER_MCP_COMMANDS or FLOWRUNNER_MCP_SERVERS"
        )
    if entry.env:
        raise ServerRefused("the environment of a command is set by the operator, in a file of FLOWRUNNER_MCP_SERVERS")
    return entry


def _checked(to: Destination) -> str | None:
    return None if to.word is Word.OPERATOR else to.checked_address()
