"""Identities: who is calling, and with which capabilities."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final

from flowrunner.memory import EVERY_OWNER, Owner


@dataclass(frozen=True, slots=True)
class Identity:
    """A caller, identified by an API key, the site's login or the local machine. Every known

    caller may run flows; further permissions are set here, and :mod:`flowrunner.authority` reads
    them.

    ``id`` is the owner of all data of this caller. ``admin`` may see every owner's,
    unless limited by ``flows``. ``read_only`` may change nothing and run nothing. ``flows`` limits a
    key to single flows: ids or endpoint names; None means all that the owner may use. ``name`` is
    a display name.
    ``author`` may make, change, read and download flows, and has variables and keys. ``offers``
    says of a flow whether the site offers it to them; None means that no site has a say.
    ``nameless`` is somebody whom nobody knows, such as a visitor: their ``id`` begins with
    :data:`VISITOR`, and limits count all of them together, or those of one ``address``.
    ``acting`` is an admin in the name of another owner. ``key`` is the id of the API key that they brought.
    """

    id: str
    admin: bool = False
    read_only: bool = False
    flows: frozenset[str] | None = None
    name: str = ""
    author: bool = False
    nameless: bool = False
    address: str = field(default="", compare=False)
    acting: bool = False
    key: str = field(default="", compare=False)
    offers: Callable[[Any], bool] | None = field(default=None, compare=False, repr=False)

    @property
    def scope(self) -> Owner:
        """Whose things a list shows: everybody's for an admin who is not limited to flows, else one's own."""
        return EVERY_OWNER if self.admin and self.flows is None else self.id


#: How the ids of those begin whom nobody knows by name.
VISITOR: Final = "visitor-"

#: The person at a machine whose server runs open, on loopback only.
LOCAL_IDENTITY: Final = Identity("local", name="local", author=True)
#: The same where clients are counted by address: all those of the machine are one.
LOCAL_CALLER: Final = replace(LOCAL_IDENTITY, address="this machine")


def is_local(identity: Identity) -> bool:
    """Return whether a caller is the local user, and not just a user of the same name."""
    return identity is LOCAL_IDENTITY or identity is LOCAL_CALLER
