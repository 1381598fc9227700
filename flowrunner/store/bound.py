"""The app's data bound to one caller; views get this instead of the stores themselves.

Each operation checks permissions with :mod:`flowrunner.authority`, so even a view that forgets to declare what it
needs cannot access data that its caller may not see.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from io import SEEK_END
from pathlib import Path
from typing import Any, BinaryIO

from flowrunner.authority import Capability, is_own_author, may, require, sees_graphs
from flowrunner.errors import NotAllowed, NotFound
from flowrunner.flows.library import Library, may_use
from flowrunner.flows.model import Flow
from flowrunner.flows.naming import canonical_uuid
from flowrunner.identity import Identity
from flowrunner.shares import Uploads
from flowrunner.store.bound_projects import ProjectsOfCaller
from flowrunner.store.bound_titles import TitlesOfCaller
from flowrunner.store.credentials import MASK, mask_text
from flowrunner.store.files import FileStore, StoredFile
from flowrunner.store.flowmask import SecretInputs, mask_graph
from flowrunner.store.flowrecord import StoredFlow, with_graph
from flowrunner.store.flows import FlowStore
from flowrunner.store.keys import KeyRecord, KeyStore, owner_of_user
from flowrunner.store.stores import Stores
from flowrunner.store.variables import Variable, VariableStore


@dataclass(frozen=True, slots=True)
class BoundStores:
    """The stores of a runner, bound to one caller."""

    flows: FlowsOfCaller
    projects: ProjectsOfCaller
    titles: TitlesOfCaller
    variables: VariablesOfCaller
    files: FilesOfCaller
    keys: KeysOfCaller


def bind_stores(
    stores: Stores, library: Library, identity: Identity, secret_inputs: SecretInputs, uploads: Uploads
) -> BoundStores:
    """Return the stores bound to a caller.

    :param secret_inputs: returns the secret inputs of a component type.
    :param uploads: counts the uploads of anonymous visitors.
    """
    return BoundStores(
        flows=FlowsOfCaller(stores.flows, library, identity, secret_inputs),
        projects=ProjectsOfCaller(stores.projects, stores.flows, identity),
        titles=TitlesOfCaller(stores.titles, identity),
        variables=VariablesOfCaller(stores.variables, identity),
        files=FilesOfCaller(stores.files, identity, uploads),
        keys=KeysOfCaller(stores.keys, identity),
    )


class FlowsOfCaller:
    """The flows that a caller may see or change. Secrets in flows of other authors are masked."""

    def __init__(self, store: FlowStore, library: Library, identity: Identity, secret_inputs: SecretInputs) -> None:
        self._store = store
        self._folders = library.folders
        self._identity = identity
        self._secret_inputs = secret_inputs

    @property
    def sees_graphs(self) -> bool:
        """Whether the caller may see the graphs of flows; others see only names and descriptions."""
        return sees_graphs(self._identity)

    def of_folders(self) -> list[Flow]:
        """Return the flows from folders that the caller may use."""
        require(self._identity, Capability.CONVERSE, change=False)
        return [_plain(flow) for flow in self._folders.flows() if may_use(self._identity, flow)]

    def stored(self) -> list[StoredFlow]:
        """Return the caller's own flows that they may use; without graphs if they are not an author."""
        require(self._identity, Capability.CONVERSE, change=False)
        found = (flow for flow in self._store.list(self._identity.id) if _may_use_stored(self._identity, flow))
        if not self.sees_graphs:
            return [_named_only(self._shown(flow)) for flow in found]
        return [self._shown(flow) for flow in found]

    def folder_flow(self, flow_id: str) -> Flow | None:
        """Return the flow with this id from the folders, or None if there is none that the caller may see."""
        canonical = canonical_uuid(flow_id)
        found = self._folders.find(canonical) if canonical else None
        return _plain(found) if found is not None and may_use(self._identity, found) else None

    def folder_graph(self, flow: Flow) -> Any:
        """Return the masked graph of a flow from a folder: callers of the API are never its author."""
        require(self._identity, Capability.AUTHOR, change=False)
        raw = self._folders.raw(flow.id)
        return None if raw is None else mask_graph(with_graph(raw).get("data"), self._secret_inputs)

    def get(self, flow_id: str) -> StoredFlow:
        """Return one of the caller's own flows.

        :raises FlowNotFound: if the caller has no flow with this id.
        """
        require(self._identity, Capability.AUTHOR, change=False)
        return self._shown(self._store.get(flow_id, self._identity.id))

    def create(self, values: Mapping[str, Any]) -> StoredFlow:
        """Store a new flow; see :meth:`FlowStore.create`."""
        return self._changing().create(self._identity.id, values)

    def create_many(self, several: Iterable[Mapping[str, Any]]) -> Sequence[StoredFlow]:
        """Store several new flows, all or none."""
        return self._changing().create_many(self._identity.id, several)

    def update(self, flow_id: str, changes: Mapping[str, Any]) -> StoredFlow:
        """Change members of a flow."""
        store = self._changing()
        self._refuse_of_folder(flow_id)
        self._refuse_masks(changes)
        return self._shown(store.update(flow_id, self._identity.id, changes))

    def put(self, flow_id: str, values: Mapping[str, Any]) -> tuple[StoredFlow, bool]:
        """Replace a flow, or create it under that id; returns it, and whether it is new."""
        store = self._changing()
        self._refuse_of_folder(flow_id, look_again=True)
        self._refuse_masks(values)
        stored, new = store.put(flow_id, self._identity.id, values)
        return self._shown(stored), new

    def delete(self, flow_id: str) -> None:
        """Delete a flow; its messages are kept."""
        store = self._changing()
        self._refuse_of_folder(flow_id)
        store.delete(flow_id, self._identity.id)

    def delete_many(self, flow_ids: Iterable[str]) -> int:
        """Remove the flows that belong to the caller, and return their number."""
        return self._changing().delete_many(flow_ids, self._identity.id)

    def _changing(self) -> FlowStore:
        require(self._identity, Capability.AUTHOR)
        return self._store

    def _shown(self, flow: StoredFlow) -> StoredFlow:
        if is_own_author(self._identity, flow.owner):
            return flow
        return replace(
            flow,
            name=mask_text(flow.name),
            description=flow.description and mask_text(flow.description),
            data=mask_graph(flow.data, self._secret_inputs),
            extra=mask_graph(flow.extra),
        )

    def _refuse_of_folder(self, flow_id: str, *, look_again: bool = False) -> None:
        if self._folders.find(flow_id, look_again=look_again) is not None:
            raise NotAllowed("This flow comes from a file of the server; change the file.")

    def _refuse_masks(self, values: Mapping[str, Any]) -> None:
        """Refuse to store a graph that was shown masked: the masks would replace the secrets."""
        if self._identity.acting and _holds_mask(values.get("data")):
            raise NotAllowed(
                f"This flow was shown to you with its secrets masked; saving it would replace them with {MASK}. Ask"
                " its owner to change it."
            )


class VariablesOfCaller:
    """The variables of one caller."""

    def __init__(self, store: VariableStore, identity: Identity) -> None:
        self._store = store
        self._identity = identity

    def list(self) -> list[Variable]:
        """Return the variables, by name; values that look like credentials are shown to their author only."""
        require(self._identity, Capability.AUTHOR, change=False)
        return [self._shown(variable) for variable in self._store.list(self._identity.id)]

    def create(self, name: str, value: str, **more: Any) -> Variable:
        """Store a new variable; see :meth:`VariableStore.create`."""
        return self._shown(self._changing().create(self._identity.id, name, value, **more))

    def update(self, variable_id: str, changes: Mapping[str, Any]) -> Variable:
        """Change a variable."""
        return self._shown(self._changing().update(variable_id, self._identity.id, changes))

    def delete(self, variable_id: str) -> None:
        """Remove a variable."""
        self._changing().delete(variable_id, self._identity.id)

    def _changing(self) -> VariableStore:
        require(self._identity, Capability.AUTHOR)
        return self._store

    def _shown(self, variable: Variable) -> Variable:
        if variable.value is None or is_own_author(self._identity, variable.owner):
            return variable
        return replace(variable, value=mask_text(variable.value))


class FilesOfCaller:
    """The files of a caller: those uploaded for a flow, and those without a flow, which only authors may use."""

    def __init__(self, store: FileStore, identity: Identity, uploads: Uploads) -> None:
        self._store = store
        self._identity = identity
        self._uploads = uploads

    def save(self, stream: BinaryIO, *, name: str, flow_id: str | None, media_type: str | None = None) -> StoredFile:
        """Store a file; see :meth:`FileStore.save`.

        :raises TooMany: if anonymous visitors from one address upload too much per hour.
        """
        self._require(flow_id, change=True)
        self._uploads.note(self._identity, _size_of(stream))
        return self._store.save(self._identity.id, stream, name=name, flow_id=flow_id, media_type=media_type)

    def list(self, *, flow_id: str | None) -> list[StoredFile]:
        """Return the files of a flow, or those without a flow."""
        self._require(flow_id, change=False)
        return self._store.list(self._identity.id, flow_id=flow_id)

    def find(self, *, flow_id: str | None, file_id: str | None = None, name: str | None = None) -> StoredFile:
        """Return one of the caller's files.

        :raises NotFound: if it does not exist.
        """
        self._require(flow_id, change=False)
        return self._store.find(self._identity.id, flow_id=flow_id, file_id=file_id, name=name)

    def open(self, found: StoredFile) -> BinaryIO:
        """Open a file that was found."""
        self._require(found.flow_id, change=False)
        return self._store.open(found)

    def delete(self, found: StoredFile) -> None:
        """Remove a file that was found."""
        self._require(found.flow_id, change=True)
        self._store.delete(found)

    def path_of(self, name: str, *, flow_id: str | None = None) -> Path:
        """Return the path of a file named in a message of the caller; see :meth:`FileStore.path_of`."""
        require(self._identity, Capability.CONVERSE, change=False)
        return self._store.path_of(self._identity.id, name, flow_id=flow_id)

    def _require(self, flow_id: str | None, *, change: bool) -> None:
        require(self._identity, Capability.AUTHOR if flow_id is None else Capability.CONVERSE, change=change)


class KeysOfCaller:
    """The API keys that a caller may manage: their own, or all for an admin."""

    def __init__(self, store: KeyStore, identity: Identity) -> None:
        self._store = store
        self._identity = identity

    def list(self) -> list[KeyRecord]:
        """Return the keys, oldest first, without the secrets."""
        require(self._identity, Capability.AUTHOR, change=False)
        return self._store.list(self._identity.scope)

    def create(self, user: str, *, admin: bool = False, **more: Any) -> str:
        """Create a key and return it. It never has more permissions than the key that creates it.

        :raises NotAllowed: for an admin key or a key of another user, if the caller is not an admin.
        """
        who = self._identity
        require(who, Capability.AUTHOR)
        if admin and not may(who, Capability.ADMIN):
            raise NotAllowed("Only an admin key may create another one.")
        if not may(who, Capability.ADMIN) and owner_of_user(user) != who.id:
            raise NotAllowed("Only an admin key may create a key for another user.")
        return self._store.create(user, admin=admin, **more)

    def record_of(self, key: str) -> KeyRecord:
        """Return the record of a key that was just created."""
        require(self._identity, Capability.AUTHOR)
        return self._store.record_of(key)

    def revoke(self, key_id: str) -> KeyRecord:
        """Revoke a key and return its record.

        :raises NotFound: if the caller may not manage a key with this id.
        """
        found = self._own(key_id)
        self._store.revoke(found.id)
        return found

    def rotate(self, key_id: str) -> tuple[KeyRecord, str]:
        """Replace a key by a new one with the same permissions; return its record and the new key.

        :raises NotFound: if the caller may not manage a key with this id.
        """
        found = self._own(key_id)
        return found, self._store.rotate(found.id)

    def _own(self, key_id: str) -> KeyRecord:
        require(self._identity, Capability.AUTHOR)
        for record in self._store.list(self._identity.scope):
            if record.id == key_id:
                if record.admin and not may(self._identity, Capability.ADMIN):
                    raise NotAllowed("Only an admin key may delete another one.")
                return record
        raise NotFound("API Key not found")


def _plain(flow: Flow) -> Flow:
    """Return a flow from a folder with only what everybody may see: name, description and examples."""
    examples = tuple(mask_text(text) for text in flow.examples)
    return replace(flow, name=mask_text(flow.name), description=mask_text(flow.description), examples=examples)


def _named_only(flow: StoredFlow) -> StoredFlow:
    """Return a flow without its graph, for callers who may run it but not see its graph."""
    return replace(flow, data=None, extra={"examples": list(flow.examples)} if flow.examples else {})


def _may_use_stored(identity: Identity, flow: StoredFlow) -> bool:
    """Like :func:`~flowrunner.flows.library.may_use`, for a stored flow that has not been parsed."""
    stub = Flow(
        id=flow.id,
        name=flow.name,
        endpoint_name=flow.endpoint_name,
        description=flow.description or "",
        vertices=(),
        edges=(),
        owner=flow.owner,
    )
    return may_use(identity, stub)


def _size_of(stream: BinaryIO) -> int:
    size = stream.seek(0, SEEK_END)
    stream.seek(0)
    return size


def _holds_mask(value: Any) -> bool:
    if isinstance(value, str):
        return MASK in value
    if isinstance(value, Mapping):
        return any(_holds_mask(item) for item in value.values())
    return isinstance(value, (list, tuple)) and any(_holds_mask(item) for item in value)
