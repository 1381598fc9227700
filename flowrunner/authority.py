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
    """What a caller may be allowed."""

    RUN = "run"
    CONVERSE = "converse"
    AUTHOR = "author"
    ADMIN = "admin"


def may(identity: Identity, capability: Capability, *, change: bool = True) -> bool:
    """Return whether a caller has a capability.

    :param change: whether it is to change something; who may only read has it for reading.
    """
    if identity.read_only and (change or capability is Capability.RUN):
        return False
    if capability is Capability.AUTHOR:
        return identity.author and identity.flows is None
    if capability is Capability.ADMIN:
        return identity.admin and identity.flows is None
    return True


def require(identity: Identity, capability: Capability, *, change: bool = True) -> None:
    """Refuse a caller who has not got a capability.

    :raises NotAllowed: saying why.
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
    """What a route wants of its caller; ``capability`` is None where it wants nobody at all.

    ``reading`` says that nothing is changed, whatever the verb; ``or_local`` that it is open to the
    user of an open server, too.
    """

    capability: Capability | None
    reading: bool = False
    or_local: bool = False

    def check(self, identity: Identity, method: str) -> None:
        """Refuse a caller who may not do this.

        :param method: the verb of the request, which says whether something is to be changed.
        :raises NotAllowed: saying why.
        """
        if self.capability is None or (self.or_local and is_local(identity)):
            return
        require(identity, self.capability, change=not self.reading and method not in _READING)

    @property
    def that_reads(self) -> Need:
        """The same for a route that changes nothing although its verb says so, since its question is long."""
        return replace(self, reading=True)


#: For everybody, known or not: tells nothing about anybody.
OPEN: Final = Need(None)
RUN: Final = Need(Capability.RUN)
CONVERSE: Final = Need(Capability.CONVERSE)
AUTHOR: Final = Need(Capability.AUTHOR)
ADMIN: Final = Need(Capability.ADMIN)
#: For an admin, and for the user of an open server, who is alone there.
ADMIN_OR_LOCAL: Final = Need(Capability.ADMIN, or_local=True)


def sees_graphs(identity: Identity) -> bool:
    """Return whether a caller sees what flows are made of; others talk to them, and see names and descriptions."""
    return may(identity, Capability.AUTHOR, change=False)


def is_own_author(identity: Identity, owner: str | None) -> bool:
    """Return whether a caller sees what an owner wrote as it is; what is shown to all others is masked.

    :param owner: the owner of a flow or variable; None for what the operator wrote.
    """
    return owner == identity.id and may(identity, Capability.AUTHOR) and not identity.acting
