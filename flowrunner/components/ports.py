"""Inputs and outputs of components, and the types of what goes over edges between them."""

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

#: What an input may hold; the engine converts settings and tweaks to it.
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

#: What else stands on edges of flows: objects that components of one plugin hand to each other.
OBJECT_TYPES: Final = ("Document", "Retriever", "VectorStore")


#: How inputs are called that hold addresses.
_ADDRESS_NAME: Final = re.compile(
    r"(?:^|_)(?:url|urls|uri|uris|host|hostname|endpoint|address|addresses|dsn|server|webhook|proxy|curl|origin"
    r"|api_base|base_path|connection_string)(?:_|$)",
    re.IGNORECASE,
)


def canonical_type(name: str) -> str:
    """Return the port type under its present name: ``JSON`` is ``Data``, ``DataFrame`` is ``Table``."""
    return TYPE_ALIASES.get(name, name)


@dataclass(frozen=True, slots=True)
class Input:
    """A declared input of a component.

    ``type`` is one of :data:`INPUT_TYPES`: ``Message``, ``str`` and ``secret`` take text (a
    ``Message`` input may get a whole :class:`~flowrunner.Message` over an edge, a ``str`` input
    gets its text), ``Data`` a JSON object, ``Table`` a list of JSON objects. ``accepts`` names
    further port types that an edge may bring. ``many`` collects several edges into a list.
    ``tool`` puts the input into the schema when the component serves as an agent's tool.
    ``address`` says whether it holds an address that the component reaches; where that is left
    open, a text whose name says so (``base_url``, ``endpoint``) does. ``absent`` is its value in files
    of releases that did not have it yet: those that list other fields, and not this one.
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
        """Whether it holds an address that the component reaches."""
        if self.address is not None:
            return self.address
        return self.type in ("Message", "str", "secret") and _ADDRESS_NAME.search(self.name) is not None

    def takes(self, port_type: str) -> bool:
        """Return whether an edge may bring a value of this port type."""
        wanted = {canonical_type(t) for t in (self.type, *self.accepts)}
        return bool(wanted & {canonical_type(port_type), "any"})


@dataclass(frozen=True, slots=True)
class Output:
    """A declared output: its name on edges, the port type, and older names of it."""

    name: str
    type: str = "Message"
    aliases: tuple[str, ...] = ()
