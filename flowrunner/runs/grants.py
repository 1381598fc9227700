"""The access of a run to data of its owner: variables, files, collections, and other flows."""

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

#: The maximum depth of flows that run each other.
MOST_NESTED: Final = 10
_DEPTH: Final[ContextVar[int]] = ContextVar("flowrunner_depth", default=0)
#: The maximum number of flows that one run may start, including those started by these.
MOST_STARTED: Final = 1000
_STARTED: Final[ContextVar[Iterator[int] | None]] = ContextVar("flowrunner_started", default=None)


def count_started() -> Token[Iterator[int] | None]:
    """Begin to count the flows that a run starts, directly and indirectly, on all its threads."""
    return _STARTED.set(count(1))


def stop_counting(token: Token[Iterator[int] | None]) -> None:
    """Stop counting; takes what :func:`count_started` returned."""
    _STARTED.reset(token)


class Grants:
    """Provides runs with the stores and flows of a runner, limited to what their caller may use.

    ``services`` are the services of a run whose caller is not limited; the runner sets them once.

    :param uploads: counts the files that runs of anonymous visitors save.
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
        """Return the services of a run; a key limited to flows cannot use files and collections of other flows.

        Such a key may use the variables named by the author of the flow, but none named by the request. Files that
        runs of anonymous visitors save count as their uploads.
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
        """Run a flow as part of a run: for the same owner, sharing the turn, not counted against the limit on runs.

        A caller who may not run all flows of the owner may run those named in the flow itself, since its author chose
        them, and others only if they may run them directly.

        :param input_given: the provenance of the input; by default, it may contain any secret.
        :param tweaks_given: the provenance of the tweaks by vertex and field, with the same default.
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
        """Return a stored variable of the owner, or else an environment variable that the settings allow.

        A variable named by a request is never read from the environment. With a key limited to flows, variables named
        or chosen by the request are not available.

        :raises FlowRunnerError: if the stored variable was encrypted with another key.
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
        """Return whether a collection is the default one of a flow, or named in the flow by its author.

        The author may have written the name of a variable; a value from the request does not count.
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

        :param flow_id: if set, only files of this flow may be read.
        :raises BadRequest: if there is no such upload.
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
        """Store bytes as a file of an owner's flow; return the path for reading it.

        :param identity: the caller whose uploads are limited.
        :raises TooMany: if anonymous visitors from this address have reached their limit.
        """
        if identity is not None:
            self._uploads.note(identity, len(data))
        return self._stores.files.write(owner, data, name=name, flow_id=flow_id, append=append).path
