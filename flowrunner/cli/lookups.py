"""What is named on the command line is looked up; a name that nothing has is an error, with those that are near."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from flowrunner.cli.context import Place
from flowrunner.cli.suggestions import with_hint
from flowrunner.errors import BadRequest, FlowNotFound, NotFound
from flowrunner.memory import EVERY_OWNER, Memory, Owner

if TYPE_CHECKING:
    from flowrunner.flows.library import FolderLibrary

_MOST_SESSIONS = 1000


def folder_flows(place: Place) -> FolderLibrary:
    """Return the flows of the folders that the settings name."""
    from flowrunner.flows.library import FolderLibrary

    folders = [path for name in place.settings.flows_dir if (path := Path(name).expanduser().absolute()).is_dir()]
    return FolderLibrary(folders)


class FlowNames:
    """The flows of a place by what people call them: id, endpoint name, or name."""

    def __init__(self, place: Place, owner: Owner) -> None:
        self.by_name: dict[str, set[str]] = {}
        for flow in folder_flows(place).flows():
            self._take(flow.id, flow.endpoint_name, flow.name)
        from flowrunner.store.flows import FlowStore
        from flowrunner.store.secretbox import open_secret_box
        from flowrunner.store.tables import SCHEMA

        if SCHEMA.current(place.engine) is not None:
            box = open_secret_box(place.settings.secret_key, place.settings.data_dir)
            for stored in FlowStore(place.engine, place.settings.data_dir, box=box).list(owner):
                self._take(stored.id, stored.endpoint_name, stored.name)

    def id_of(self, name: str) -> str | None:
        """Return the id of a flow, or None if none is called so.

        :raises BadRequest: if several are.
        """
        ids = self.by_name.get(name, set())
        if len(ids) > 1:
            raise BadRequest(f"Several flows are named {name}; choose one by its id: {', '.join(sorted(ids))}.")
        return next(iter(ids), None)

    def unknown(self, name: str) -> FlowNotFound:
        """Return the error about a flow that is not there."""
        return FlowNotFound(with_hint(f"There is no flow {name}", name, self.by_name))

    def _take(self, flow_id: str, *names: str | None) -> None:
        for name in (flow_id, *names):
            if name:
                self.by_name.setdefault(name, set()).add(flow_id)


def flow_id_of(place: Place, name: str | None, owner: Owner) -> str | None:
    """Return the id of the flow that is meant, for a list that is narrowed to it.

    A flow that is gone, or was run from a file, is named by its id; :func:`refuse_nothing` says if
    nothing at all is known of it.
    """
    return None if name is None else FlowNames(place, owner).id_of(name) or name


def refuse_nothing(
    place: Place,
    memory: Memory | None,
    owner: Owner,
    *,
    flow: str | None = None,
    session_id: str | None = None,
    user: str | None = None,
) -> None:
    """Say why a list is empty, where something that was named is not there.

    :raises NotFound: for the first name that nothing has.
    """
    if isinstance(owner, str):
        _refuse_owner(place, memory, owner, user)
    if flow is not None:
        names = FlowNames(place, owner)
        told = memory is not None and memory.for_owner(owner).sessions(flow_id=flow, limit=1)
        if names.id_of(flow) is None and not told:
            raise names.unknown(flow)
    if session_id is not None and memory is not None:
        there = memory.for_owner(owner).fetch(session_id=session_id, limit=1)
        if not there:
            raise no_session(memory, owner, session_id)


def no_session(memory: Memory, owner: Owner, session_id: str) -> NotFound:
    """Return the error about a session that is not there."""
    known = [one.session_id for one in memory.for_owner(owner).sessions(limit=_MOST_SESSIONS)]
    whose = "" if owner is EVERY_OWNER else " of this owner"
    return NotFound(with_hint(f"There is no session {session_id}{whose}", session_id, known))


def _refuse_owner(place: Place, memory: Memory | None, owner: str, user: str | None) -> None:
    from flowrunner.cli.context import keys_in
    from flowrunner.identity import LOCAL_IDENTITY
    from flowrunner.store.keys import owner_of_user

    if owner == LOCAL_IDENTITY.id or (memory is not None and memory.for_owner(owner).sessions(limit=1)):
        return
    with keys_in(place) as keys:
        users = sorted({record.user for record in keys.list()})
    if owner in {owner_of_user(name) for name in users}:
        return
    if user is None:
        raise NotFound(f"There is no owner {owner}: no data is stored for that id, and it has no API key.")
    raise NotFound(with_hint(f"There is no user {user}", user, [*users, LOCAL_IDENTITY.id]))
