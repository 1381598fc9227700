"""The projects of one caller, and the flows in them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from flowrunner.authority import Capability, is_own_author, require
from flowrunner.flows.naming import canonical_uuid
from flowrunner.identity import Identity
from flowrunner.store.credentials import mask_text
from flowrunner.store.flowrecord import StoredFlow
from flowrunner.store.flows import FlowStore
from flowrunner.store.projects import Project, ProjectStore, usual_project_id


class ProjectsOfCaller:
    """The projects of a caller. Only authors have projects."""

    def __init__(self, store: ProjectStore, flows: FlowStore, identity: Identity) -> None:
        self._store = store
        self._flows = flows
        self._identity = identity

    @property
    def usual(self) -> str:
        """The id of the caller's default project, which holds the flows that are in no other project."""
        return usual_project_id(self._identity.id)

    def list(self) -> Sequence[Project]:
        """Return the projects, the default one first."""
        require(self._identity, Capability.AUTHOR, change=False)
        return [self._shown(one) for one in self._store.list(self._identity.id)]

    def get(self, project_id: str) -> Project:
        """Return a project.

        :raises NotFound: if the caller has no project with this id.
        """
        require(self._identity, Capability.AUTHOR, change=False)
        return self._shown(self._store.get(project_id, self._identity.id))

    def create(self, name: Any, description: Any, flow_ids: Iterable[str] = ()) -> Project:
        """Create a project and move flows into it; flows that do not belong to the caller are ignored."""
        made = self._changing().create(self._identity.id, name, description)
        self._move(flow_ids, made.id)
        return self._shown(made)

    def update(self, project_id: str, changes: Mapping[str, Any], flow_ids: Iterable[str] | None = None) -> Project:
        """Change a project.

        :param flow_ids: the flows of the project; other flows in it move to the default project.
        """
        changed = self._changing().update(project_id, self._identity.id, changes)
        if flow_ids is not None:
            wanted = {canonical for flow_id in flow_ids if (canonical := canonical_uuid(flow_id))}
            inside = {flow.id for flow in self._inside(changed.id)}
            self._move(wanted - inside, changed.id)
            self._move(inside - wanted, self.usual)
        return self._shown(changed)

    def delete(self, project_id: str) -> None:
        """Delete a project and its flows; their messages are kept.

        :raises NotFound: if the caller has no project with this id.
        """
        store = self._changing()
        found = store.get(project_id, self._identity.id)
        self._flows.delete_many([flow.id for flow in self._inside(found.id)], self._identity.id)
        store.delete(found.id, self._identity.id)

    def place_of(self, folder_id: Any, known: Iterable[str]) -> str:
        """Return the id of the project of a flow.

        :param folder_id: the project id stored in the flow.
        :param known: the ids of all projects of the caller.
        """
        canonical = canonical_uuid(folder_id) if isinstance(folder_id, str) else None
        return canonical if canonical is not None and canonical in known else self.usual

    def _inside(self, project_id: str) -> Sequence[StoredFlow]:
        known = {one.id for one in self._store.list(self._identity.id)}
        mine = self._flows.list(self._identity.id)
        return [flow for flow in mine if self.place_of(flow.extra.get("folder_id"), known) == project_id]

    def _move(self, flow_ids: Iterable[str], project_id: str) -> None:
        wanted = {canonical for flow_id in flow_ids if (canonical := canonical_uuid(flow_id))}
        for flow in self._flows.list(self._identity.id) if wanted else ():
            if flow.id in wanted:
                self._flows.update(flow.id, self._identity.id, {"folder_id": project_id})

    def _shown(self, found: Project) -> Project:
        """Return a project; its texts are masked for callers who did not write them."""
        if is_own_author(self._identity, found.owner):
            return found
        described = found.description and mask_text(found.description)
        return replace(found, name=mask_text(found.name), description=described)

    def _changing(self) -> ProjectStore:
        require(self._identity, Capability.AUTHOR)
        return self._store
