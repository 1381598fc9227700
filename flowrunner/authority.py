"""Capabilities: what a caller may do, decided in one place for every route and store.

Four capabilities: ``run`` the flows that are offered, ``converse`` (see, change and remove one's own
messages, sessions and the files of chats), ``author`` (flows, variables, keys and records of what
went through components), and ``admin`` (what concerns every owner). To talk is not to author.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from flowrunner.errors import NotAllowed
from flowrunner.identity import Identity, is_local

_READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class Capability(Enum):
    """The capabilities of callers."""

    RUN = "run"
    CONVERSE = "converse"
    AUTHOR = "author"
    ADMIN = "admin"


def may(identity: Identity, capability: Capability, *, change: bool = True) -> bool:
    """Return whether a caller has a capability.

    :param change: whether something is changed; a read-only caller has the capability for reading only.
    """
    if identity.read_only and (change or capability is Capability.RUN):
        return False
    if capability is Capability.AUTHOR:
        return identity.author and identity.flows is None
    if capability is Capability.ADMIN:
        return identity.admin and identity.flows is None
    return True


def require(identity: Identity, capability: Capability, *, change: bool = True) -> None:
    """Check that a caller has a capability.

    :raises NotAllowed: if not, with the reason.
    """
    if not may(identity, capability, change=change):
        raise NotAllowed(_reason(identity, capability, change=change))


def _reason(identity: Identity, capability: Capability, *, change: bool) -> str:
    if identity.read_only and (change or capability is Capability.RUN):
        return "This API key is read-only."
    if capability is Capability.ADMIN:
        return "Only an admin may do this."
    if identity.flows is not None:
        return (
            "This API key is limited to certain flows: it can run them and read their conversations, but cannot"
            " access flow definitions, variables, keys or other files."
        )
    return "You may run flows, but not read or change them, nor their files and variables."


@dataclass(frozen=True, slots=True)
class Need:
    """The permission that a route requires; ``capability`` is None for routes without a caller.

    ``reading`` means that nothing is changed, whatever the method; ``or_local`` also allows the local user of a
    server without API keys.
    """

    capability: Capability | None
    reading: bool = False
    or_local: bool = False

    def check(self, identity: Identity, method: str) -> None:
        """Check that a caller has the permission.

        :param method: the method of the request, which says whether something is changed.
        :raises NotAllowed: if not, with the reason.
        """
        if self.capability is None or (self.or_local and is_local(identity)):
            return
        require(identity, self.capability, change=not self.reading and method not in _READING)

    @property
    def that_reads(self) -> Need:
        """The same permission for a route that uses POST but changes nothing, because its input is long."""
        return replace(self, reading=True)


#: For everybody, also without a key: the route reveals nothing.
OPEN: Final = Need(None)
RUN: Final = Need(Capability.RUN)
CONVERSE: Final = Need(Capability.CONVERSE)
AUTHOR: Final = Need(Capability.AUTHOR)
ADMIN: Final = Need(Capability.ADMIN)
#: For admins, and for the local user of a server without API keys.
ADMIN_OR_LOCAL: Final = Need(Capability.ADMIN, or_local=True)


def sees_graphs(identity: Identity) -> bool:
    """Return whether a caller may see the graphs of flows; others may only run them and see names and descriptions."""
    return may(identity, Capability.AUTHOR, change=False)


def is_own_author(identity: Identity, owner: str | None) -> bool:
    """Return whether a caller sees the secrets of an owner; they are masked for all others.

    :param owner: the owner of a flow or variable; None for the operator.
    """
    return owner == identity.id and may(identity, Capability.AUTHOR) and not identity.acting
