"""Inputs and outputs of components, and the types of values on edges."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

#: Port types, and the names that older exports use for them.
TYPE_ALIASES: Final[Mapping[str, str]] = {
    "JSON": "Data",
    "Record": "Data",
    "DataFrame": "Table",
    "Text": "Message",
    "str": "Message",
    "BaseLanguageModel": "LanguageModel",
    "BaseChatModel": "LanguageModel",
    "BaseLLM": "LanguageModel",
}

#: The types of inputs; the engine converts settings and tweaks to them.
INPUT_TYPES: Final = (
    "Message",
    "str",
    "int",
    "float",
    "bool",
    "Data",
    "Table",
    "dict",
    "list",
    "secret",
    "LanguageModel",
    "Tool",
    "Embeddings",
    "Memory",
    "any",
)

#: Further types of values on edges: objects passed between components of one plugin.
OBJECT_TYPES: Final = ("Document", "Retriever", "VectorStore")


#: Names of inputs that contain addresses.
_ADDRESS_NAME: Final = re.compile(
    r"(?:^|_)(?:url|urls|uri|uris|host|hostname|endpoint|address|addresses|dsn|server|webhook|proxy|curl|origin"
    r"|api_base|base_path|connection_string)(?:_|$)",
    re.IGNORECASE,
)


def canonical_type(name: str) -> str:
    """Return the current name of a port type: ``JSON`` is ``Data``, ``DataFrame`` is ``Table``."""
    return TYPE_ALIASES.get(name, name)


@dataclass(frozen=True, slots=True)
class Input:
    """A declared input of a component.

    ``type`` is one of :data:`INPUT_TYPES`: ``Message``, ``str`` and ``secret`` accept text (a ``Message`` input
    may get a whole :class:`~flowrunner.Message` over an edge, a ``str`` input gets its text), ``Data`` accepts a
    JSON object, ``Table`` a list of JSON objects. ``accepts`` names further port types for edges. ``many``
    collects several edges into a list. ``tool`` makes the input an argument if the component is used as a tool.
    ``address`` says whether it contains an address that the component connects to; by default, this depends on
    its name (``base_url``, ``endpoint``). ``absent`` is the value in files of older releases, which list other
    fields but not this one. ``info`` is the help text.
    """

    name: str
    type: str = "Message"
    required: bool = False
    default: Any = None
    accepts: tuple[str, ...] = ()
    many: bool = False
    aliases: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    tool: bool = False
    info: str = ""
    address: bool | None = None
    absent: Any = None

    @property
    def holds_address(self) -> bool:
        """Whether it contains an address that the component connects to."""
        if self.address is not None:
            return self.address
        return self.type in ("Message", "str", "secret") and _ADDRESS_NAME.search(self.name) is not None

    def takes(self, port_type: str) -> bool:
        """Return whether edges of this port type are allowed."""
        wanted = {canonical_type(t) for t in (self.type, *self.accepts)}
        return bool(wanted & {canonical_type(port_type), "any"})


@dataclass(frozen=True, slots=True)
class Output:
    """A declared output: its name, its port type, and its older names."""

    name: str
    type: str = "Message"
    aliases: tuple[str, ...] = ()
