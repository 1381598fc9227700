"""The app's data bound to one caller; views get this instead of the stores themselves.

Each operation asks :mod:`flowrunner.authority` first, so a view that forgets to say what it needs still
reaches nothing that its caller may not have.
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
    """The stores of one runner in the name of one caller."""

    flows: FlowsOfCaller
    projects: ProjectsOfCaller
    titles: TitlesOfCaller
    variables: VariablesOfCaller
    files: FilesOfCaller
    keys: KeysOfCaller


def bind_stores(
    stores: Stores, library: Library, identity: Identity, secret_inputs: SecretInputs, uploads: Uploads
) -> BoundStores:
    """Return the stores in the name of a caller.

    :param secret_inputs: says which inputs of a component type are secret.
    :param uploads: counts what visitors upload.
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
    """The flows that a caller may see or change. What they did not write themselves is masked."""

    def __init__(self, store: FlowStore, library: Library, identity: Identity, secret_inputs: SecretInputs) -> None:
        self._store = store
        self._folders = library.folders
        self._identity = identity
        self._secret_inputs = secret_inputs

    @property
    def sees_graphs(self) -> bool:
        """Whether the caller sees what flows are made of; others see names and descriptions."""
        return sees_graphs(self._identity)

    def of_folders(self) -> list[Flow]:
        """Return the flows of the folders that the caller may use."""
        require(self._identity, Capability.CONVERSE, change=False)
        return [_plain(flow) for flow in self._folders.flows() if may_use(self._identity, flow)]

    def stored(self) -> list[StoredFlow]:
        """Return the caller's own flows that they may use; without their graphs for who is not an author."""
        require(self._identity, Capability.CONVERSE, change=False)
        found = (flow for flow in self._store.list(self._identity.id) if _may_use_stored(self._identity, flow))
        if not self.sees_graphs:
            return [_named_only(self._shown(flow)) for flow in found]
        return [self._shown(flow) for flow in found]

    def folder_flow(self, flow_id: str) -> Flow | None:
        """Return a flow of the folders that the caller may see, None if there is none of that id."""
        canonical = canonical_uuid(flow_id)
        found = self._folders.find(canonical) if canonical else None
        return _plain(found) if found is not None and may_use(self._identity, found) else None

    def folder_graph(self, flow: Flow) -> Any:
        """Return the graph of a flow of the folders, masked: no reader of it is its author."""
        require(self._identity, Capability.AUTHOR, change=False)
        raw = self._folders.raw(flow.id)
        return None if raw is None else mask_graph(with_graph(raw).get("data"), self._secret_inputs)

    def get(self, flow_id: str) -> StoredFlow:
        """Return one of the caller's own flows.

        :raises FlowNotFound: if they have none of that id.
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
        """Remove a flow; its messages stay."""
        store = self._changing()
        self._refuse_of_folder(flow_id)
        store.delete(flow_id, self._identity.id)

    def delete_many(self, flow_ids: Iterable[str]) -> int:
        """Remove those flows that are the caller's, and return how many that were."""
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
        """Refuse to write back what was shown masked: the masks would take the place of the secrets."""
        if self._identity.acting and _holds_mask(values.get("data")):
            raise NotAllowed(
                f"This flow was shown to you with its secrets masked; saving it would replace them with {MASK}. Ask"
                " its owner to change it."
            )


class VariablesOfCaller:
    """The variables of a caller."""

    def __init__(self, store: VariableStore, identity: Identity) -> None:
        self._store = store
        self._identity = identity

    def list(self) -> list[Variable]:
        """Return the variables, by name; values that look like credentials are masked for all but their author."""
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
    """The files of a caller: those of the chats of a flow, and those of no flow, which are for authors."""

    def __init__(self, store: FileStore, identity: Identity, uploads: Uploads) -> None:
        self._store = store
        self._identity = identity
        self._uploads = uploads

    def save(self, stream: BinaryIO, *, name: str, flow_id: str | None, media_type: str | None = None) -> StoredFile:
        """Keep a file; see :meth:`FileStore.save`.

        :raises TooMany: if the visitors of an address send too much in an hour.
        """
        self._require(flow_id, change=True)
        self._uploads.note(self._identity, _size_of(stream))
        return self._store.save(self._identity.id, stream, name=name, flow_id=flow_id, media_type=media_type)

    def list(self, *, flow_id: str | None) -> list[StoredFile]:
        """Return the files of a flow's chats, or those of no flow."""
        self._require(flow_id, change=False)
        return self._store.list(self._identity.id, flow_id=flow_id)

    def find(self, *, flow_id: str | None, file_id: str | None = None, name: str | None = None) -> StoredFile:
        """Return one of these files.

        :raises NotFound: if there is none.
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
        """Return where the file lies that a message of the caller names; see :meth:`FileStore.path_of`."""
        require(self._identity, Capability.CONVERSE, change=False)
        return self._store.path_of(self._identity.id, name, flow_id=flow_id)

    def _require(self, flow_id: str | None, *, change: bool) -> None:
        require(self._identity, Capability.AUTHOR if flow_id is None else Capability.CONVERSE, change=change)


class KeysOfCaller:
    """The keys that a caller may dispose of: their own, for an admin everybody's."""

    def __init__(self, store: KeyStore, identity: Identity) -> None:
        self._store = store
        self._identity = identity

    def list(self) -> list[KeyRecord]:
        """Return the keys, oldest first, without their texts."""
        require(self._identity, Capability.AUTHOR, change=False)
        return self._store.list(self._identity.scope)

    def create(self, user: str, *, admin: bool = False, **more: Any) -> str:
        """Make a key and return its text; no key may more than the one that made it.

        :raises NotAllowed: for a key of somebody else, or an admin key, from who is not an admin.
        """
        who = self._identity
        require(who, Capability.AUTHOR)
        if admin and not may(who, Capability.ADMIN):
            raise NotAllowed("Only an admin key may create another one.")
        if not may(who, Capability.ADMIN) and owner_of_user(user) != who.id:
            raise NotAllowed("Only an admin key may create a key for another user.")
        return self._store.create(user, admin=admin, **more)

    def record_of(self, key: str) -> KeyRecord:
        """Return what is known of a key that was made just now."""
        require(self._identity, Capability.AUTHOR)
        return self._store.record_of(key)

    def revoke(self, key_id: str) -> KeyRecord:
        """Remove a key and return what was known of it.

        :raises NotFound: if it is none of the caller's.
        """
        found = self._own(key_id)
        self._store.revoke(found.id)
        return found

    def rotate(self, key_id: str) -> tuple[KeyRecord, str]:
        """Give a key a new text, which is returned with what is known of the key.

        :raises NotFound: if it is none of the caller's.
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
    """Return a flow of the folders whose name, description and examples are for everybody."""
    examples = tuple(mask_text(text) for text in flow.examples)
    return replace(flow, name=mask_text(flow.name), description=mask_text(flow.description), examples=examples)


def _named_only(flow: StoredFlow) -> StoredFlow:
    """Return what of a flow is for those who may talk to it and not see what it is made of."""
    return replace(flow, data=None, extra={"examples": list(flow.examples)} if flow.examples else {})


def _may_use_stored(identity: Identity, flow: StoredFlow) -> bool:
    """As :func:`~flowrunner.flows.library.may_use`, for a flow that is not read into a graph."""
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
