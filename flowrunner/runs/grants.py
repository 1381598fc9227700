"""What a run is given in the name of its caller: variables, files, collections, and other flows to run."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar, Token
from dataclasses import replace
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any, Final

from flowrunner.components.cancelling import CancelToken
from flowrunner.engine.planned import Plan
from flowrunner.engine.request import UNKNOWN, Handed, RunRequest
from flowrunner.engine.result import RunResult
from flowrunner.engine.run import run
from flowrunner.engine.services import FoundVariable, RunServices
from flowrunner.errors import FlowNotFound, FlowRunnerError
from flowrunner.flows.library import Library, may_use
from flowrunner.flows.model import Flow
from flowrunner.identity import Identity
from flowrunner.settings.setting import Settings
from flowrunner.settings.table import KEY_VARIABLES
from flowrunner.shares import Uploads
from flowrunner.store.credentials import is_secret_name
from flowrunner.vectors import LONGEST_NAME, Vectors
from flowrunner.word import Given, Word

if TYPE_CHECKING:
    from flowrunner.store.stores import Stores

#: How many flows may be in motion that start each other.
MOST_NESTED: Final = 10
_DEPTH: Final[ContextVar[int]] = ContextVar("flowrunner_depth", default=0)
#: How many flows one run may start, and those in turn, taken together.
MOST_STARTED: Final = 1000
_STARTED: Final[ContextVar[Iterator[int] | None]] = ContextVar("flowrunner_started", default=None)


def count_started() -> Token[Iterator[int] | None]:
    """Begin to count the flows that a run starts: in its whole tree, on whichever threads its branches grow."""
    return _STARTED.set(count(1))


def stop_counting(token: Token[Iterator[int] | None]) -> None:
    """Count no more, given what :func:`count_started` returned."""
    _STARTED.reset(token)


class Grants:
    """What runs get of a runner's stores and flows, each in the name of its caller.

    ``services`` is what a run gets whose caller is not limited; it is set once, when the runner has made it.

    :param uploads: counts what visitors have runs save.
    :param plan: returns the plan of a flow.
    """

    services: RunServices

    def __init__(
        self,
        library: Library,
        stores: Stores,
        vectors: Vectors,
        settings: Settings,
        uploads: Uploads,
        plan: Callable[[Flow], Plan],
    ) -> None:
        self._library = library
        self._stores = stores
        self._vectors = vectors
        self._settings = settings
        self._uploads = uploads
        self._plan = plan

    def services_for(self, identity: Identity, flow: Flow) -> RunServices:
        """Return what a run is given: with a key that is limited to flows, neither files nor collections of others.

        Variables that its request names are out of reach, too; those that the flow's author named are not.
        What visitors have a run save counts as what they upload.
        """
        if identity.flows is None and identity.offers is None and not identity.nameless:
            return self.services
        given = replace(
            self.services,
            run_flow=partial(self.run_flow, identity=identity, within=flow),
            save_file=partial(self.save_file, identity=identity),
        )
        if identity.flows is None:
            return given
        return replace(
            given,
            stored_file=partial(self.stored_file, flow_id=flow.id),
            variable=partial(self.variable, limited=True),
            vectors=self._vectors.within(partial(self._has_collection, flow)),
        )

    def run_flow(
        self,
        owner: str,
        flow: str,
        input_value: str | None,
        *,
        held: frozenset[str],
        cancelled: CancelToken,
        session_id: str = "",
        identity: Identity | None = None,
        within: Flow | None = None,
        input_given: Given = UNKNOWN,
        tweaks_given: Mapping[str, Mapping[str, Given]] | None = None,
        **request: Any,
    ) -> RunResult:
        """Run a flow as part of a run: in the owner's name, sharing the turn, outside the bound on runs.

        A caller who may not run every flow of the owner reaches those that the first flow itself names,
        since its author meant them, and of others only those that they may run.

        :param input_given: whose word the input is; unless it is said, anybody's secret may be in it.
        :param tweaks_given: whose word the tweaks are, by vertex and field; likewise.
        """
        depth = _DEPTH.get()
        if depth >= MOST_NESTED:
            raise FlowRunnerError(f"flows are nested more than {MOST_NESTED} deep, the last one is {flow[:100]}")
        started = _STARTED.get()
        if started is not None and next(started) > MOST_STARTED:
            raise FlowRunnerError(f"one run started more than {MOST_STARTED} flows, the last one is {flow[:100]}")
        found = self._library.get_named(flow, Identity(owner, author=True))
        services = self.services
        if identity is not None and within is not None:
            if not (within.names(flow) or may_use(identity, found)):
                raise FlowNotFound(f"Flow identifier {flow} not found")
            services = self.services_for(identity, found)
        handed = Handed(input_given, tweaks_given or {})
        asked = RunRequest(input_value=input_value, session_id=session_id, handed=handed, **request)
        token = _DEPTH.set(depth + 1)
        try:
            return run(self._plan(found), asked, owner=owner, services=services, cancelled=cancelled, held=held)
        finally:
            _DEPTH.reset(token)

    def variable(
        self, owner: str, name: str, *, asked: bool, chosen: bool = False, limited: bool = False
    ) -> FoundVariable | None:
        """Return an owner's stored variable, else one of the environment that the settings allow.

        Where a request named the variable, nothing of the environment is in reach. With a key that is
        limited to flows nothing is that a request named or chose.

        :raises FlowRunnerError: for a stored one that was encrypted with another key.
        """
        if limited and (asked or chosen):
            return None
        found = self._stores.variables.find(owner, name)
        if found is not None:
            if found.value is None:
                raise FlowRunnerError(
                    f"the variable {name} cannot be decrypted: it was stored with another"
                    f" {self._settings.prefix}SECRET_KEY;"
                    f" restore that key, or set the variable again"
                )
            word = Word.OPERATOR if owner == self.services.operator else Word.AUTHOR
            return FoundVariable(found.value, word, found.is_credential)
        if asked or name not in self._settings.variables or name not in os.environ:
            return None
        return FoundVariable(os.environ[name], Word.OPERATOR, name in KEY_VARIABLES or is_secret_name(name))

    def _has_collection(self, flow: Flow, owner: str, name: str) -> bool:
        """Return whether a collection is the usual one of a flow, or one that its author wrote into it.

        The author may have written the name of a variable; what a request says of that one does not count.
        """
        if name == f"flow {flow.id}":
            return True
        for vertex in flow.vertices:
            for field, value in (*vertex.settings.items(), *vertex.hidden.items()):
                if isinstance(value, str) and field in vertex.variables:
                    found = self.variable(owner, value, asked=False)
                    value = None if found is None or found.credential else found.value
                if isinstance(value, str) and value.strip()[:LONGEST_NAME] == name != "":
                    return True
        return False

    def stored_file(self, owner: str, name: str, *, flow_id: str | None = None) -> Any:
        """Return the path of an owner's upload.

        :param flow_id: the only flow whose files may be read.
        :raises BadRequest: if there is none of this name.
        """
        return self._stores.files.path_of(owner, name, flow_id=flow_id)

    def save_file(
        self,
        owner: str,
        flow_id: str,
        name: str,
        data: bytes,
        *,
        append: bool = False,
        identity: Identity | None = None,
    ) -> str:
        """Keep bytes among the files of an owner's flow; return the path by which they are read.

        :param identity: whose upload it counts as, where those are limited.
        :raises TooMany: if visitors from their address have saved as much as they may.
        """
        if identity is not None:
            self._uploads.note(identity, len(data))
        return self._stores.files.write(owner, data, name=name, flow_id=flow_id, append=append).path
