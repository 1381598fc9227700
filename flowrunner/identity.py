"""Who is asking."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from flowrunner.memory import EVERY_OWNER, Owner


@dataclass(frozen=True, slots=True)
class Identity:
    """A caller, as an API key, the host site's login or the local machine made them known.

    ``id`` is the owner under which everything of theirs is kept. ``admin`` may see every owner's.
    ``read_only`` may change nothing and run nothing. ``flows`` limits a key to single flows: ids
    or endpoint names; None means all that the owner may use. ``name`` is for people to read.
    """

    id: str
    admin: bool = False
    read_only: bool = False
    flows: frozenset[str] | None = None
    name: str = ""

    @property
    def scope(self) -> Owner:
        """Whose things a list shows: everybody's for an admin, else one's own."""
        return EVERY_OWNER if self.admin else self.id


#: The person at a machine whose server runs open, on loopback only.
LOCAL_IDENTITY: Final = Identity("local", name="local")
