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

        ``id`` is the owner of all data of this caller. ``admin`` allows reading the data of all owners, unless
        limited by ``flows``. ``read_only`` forbids changes and runs. ``flows`` limits a key to some flows, by id or
        endpoint name; None allows all flows of the owner. ``name`` is a display name. ``author`` allows creating,
        changing, reading and downloading flows, and having variables and keys. ``offers`` decides whether the site
        offers a flow to the caller; None means that there is no site. ``nameless`` marks an anonymous caller, such as
        a visitor: the ``id`` begins with :data:`VISITOR`, and limits count all of them, or those of one ``address``,
        together. ``acting`` marks an admin acting as another owner. ``key`` is the id of the API key of the request.
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
        """The owners whose data lists show: all for an admin without a limit to flows, otherwise the caller."""
        return EVERY_OWNER if self.admin and self.flows is None else self.id


#: The prefix of the ids of anonymous callers.
VISITOR: Final = "visitor-"

#: The user of a server without API keys, on a loopback address only.
LOCAL_IDENTITY: Final = Identity("local", name="local", author=True)
#: The same, if clients are counted by address: all local clients are one.
LOCAL_CALLER: Final = replace(LOCAL_IDENTITY, address="this machine")


def is_local(identity: Identity) -> bool:
    """Return whether a caller is the local user, not only a user with the same name."""
    return identity is LOCAL_IDENTITY or identity is LOCAL_CALLER
