"""Look up the flow of a run: first in the folders, then among those created over the API."""

from __future__ import annotations

from typing import Protocol

from flowrunner.errors import FlowNotFound
from flowrunner.flows.folder import FolderLibrary, Problem
from flowrunner.flows.model import Flow
from flowrunner.flows.naming import canonical_uuid
from flowrunner.identity import Identity

__all__ = ["FolderLibrary", "Library", "Problem", "StoredFlows", "may_use"]


class StoredFlows(Protocol):
    """Flows that owners created over the API."""

    def find(self, id_or_name: str, owner: str) -> Flow | None:
        """Return the owner's flow with that id (in any spelling of a UUID) or endpoint name, or None."""

    def find_named(self, name: str, owner: str) -> Flow | None:
        """Return the owner's flow with that name, or None."""


class Library:
    """All flows of a runner.

    :param folders: flows of files, which every owner may read and run; they are looked for first.
    :param stored: flows of single owners.
    """

    def __init__(self, folders: FolderLibrary, stored: StoredFlows | None = None) -> None:
        self.folders = folders
        self.stored = stored

    def get(self, id_or_name: str, identity: Identity) -> Flow:
        """Return the flow with that id or endpoint name that the caller may use.

        :raises FlowNotFound: if there is none, it is another owner's, or the caller's key does not
            extend to it; these answer alike.
        """
        flow = self.folders.find(id_or_name, look_again=False)
        if flow is None and self.stored is not None:
            flow = self.stored.find(id_or_name, identity.id)
        # Only what is known nowhere is worth a look at the folders.
        flow = flow or self.folders.find(id_or_name)
        if flow is None or not may_use(identity, flow):
            raise FlowNotFound(f"Flow identifier {id_or_name} not found")
        return flow

    def get_named(self, text: str, identity: Identity) -> Flow:
        """Return the flow with that id or endpoint name, else the one with that name, as flows name each other.

        :raises FlowNotFound: as :meth:`get`.
        """
        try:
            return self.get(text, identity)
        except FlowNotFound:
            named = [flow for flow in self.folders.flows() if flow.name == text]
            stored = self.stored.find_named(text, identity.id) if self.stored is not None else None
            for flow in (*named[:1], *([stored] if stored is not None else [])):
                if may_use(identity, flow):
                    return flow
            raise


def may_use(identity: Identity, flow: Flow) -> bool:
    """Return whether a caller may use a flow: one that the site offers them, and that their key is not kept from."""
    if identity.offers is not None and not identity.offers(flow):
        return False
    if identity.flows is None:
        return True
    if flow.id in identity.flows or flow.endpoint_name in identity.flows:
        return True
    return any(canonical_uuid(name) == flow.id for name in identity.flows)
