"""The MCP servers and commands that the operator configures."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Named = Mapping[str, "ServerEntry"]


@dataclass(frozen=True, slots=True)
class ServerEntry:
    """How a server is reached: an address with headers, or a command with what is added to its environment."""

    url: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    command: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    sse: bool = False


def read_servers(value: Any) -> tuple[tuple[str, ServerEntry], ...]:
    """Return servers by name: ``name=address or command``, commas between them, or a file of ``mcpServers``.

    :raises ValueError: if it is neither.
    """
    if isinstance(value, tuple) and all(isinstance(one, tuple) for one in value):
        return value
    if isinstance(value, Mapping):
        return _of_mapping(value)
    text = str(value).strip()
    if text.endswith(".json") and "=" not in text:
        try:
            found = json.loads(Path(text).expanduser().read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise ValueError(f"the file {text} cannot be read as JSON") from error
        return _of_mapping(found)
    entries = []
    for part in filter(None, (one.strip() for one in text.split(","))):
        name, equals, place = part.partition("=")
        if not (equals and name.strip() and place.strip()):
            raise ValueError("must be name=address or name=command, separated by commas, or a JSON file")
        entries.append((name.strip(), _of_text(place.strip())))
    return tuple(entries)


def read_commands(value: Any) -> tuple[tuple[str, ...], ...]:
    """Return command lines, each as its words; commas between them.

    :raises ValueError: for one that cannot be read.
    """
    items = value.split(",") if isinstance(value, str) else list(value)
    return tuple(
        words for item in items if (words := tuple(shlex.split(item)) if isinstance(item, str) else tuple(item))
    )


def entry_of(config: Mapping[str, Any]) -> ServerEntry:
    """Return what a flow or a file says of a server.

    :raises ValueError: if it says nothing of use.
    """
    url = config.get("url") or config.get("sse_url") or ""
    command = config.get("command") or ""
    arguments = config.get("args") or ()
    if not (isinstance(url, str) and isinstance(command, str) and isinstance(arguments, (list, tuple))):
        raise ValueError("an MCP server needs a url, or a command with args")
    words = (*shlex.split(command), *map(str, arguments)) if command.strip() else ()
    if not (url.strip() or words):
        raise ValueError("an MCP server needs a url, or a command with args")
    kind = str(config.get("transport") or config.get("type") or config.get("mode") or "").lower()
    return ServerEntry(
        url.strip(),
        _texts(config.get("headers")),
        words if not url.strip() else (),
        _texts(config.get("env")),
        "sse" in kind,
    )


def _of_mapping(found: Any) -> tuple[tuple[str, ServerEntry], ...]:
    servers = found.get("mcpServers", found) if isinstance(found, Mapping) else None
    if not isinstance(servers, Mapping) or not all(isinstance(one, Mapping) for one in servers.values()):
        raise ValueError('must be {"mcpServers": {"name": {"url": ...}}}')
    return tuple((str(name), entry_of(one)) for name, one in servers.items())


def _of_text(place: str) -> ServerEntry:
    if "://" in place.partition(" ")[0]:
        return ServerEntry(url=place)
    return ServerEntry(command=tuple(shlex.split(place)))


def _texts(value: Any) -> dict[str, str]:
    """Return names and texts out of an object, or rows of ``key`` and ``value``."""
    if isinstance(value, Mapping):
        return {str(name): str(text) for name, text in value.items()}
    rows = value if isinstance(value, (list, tuple)) else ()
    return {str(row["key"]): str(row.get("value", "")) for row in rows if isinstance(row, Mapping) and row.get("key")}
