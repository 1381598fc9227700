"""The runner: the settings, plugins, memory and flows of one app, and the operations on them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from flowrunner.authority import Capability, require
from flowrunner.components.cancelling import CancelToken
from flowrunner.engine.events import Emit
from flowrunner.engine.request import RunRequest
from flowrunner.engine.result import RunResult
from flowrunner.engine.run import run
from flowrunner.engine.services import RunServices
from flowrunner.engine.turn import Turns
from flowrunner.errors import RequestInvalid
from flowrunner.flows.library import Library
from flowrunner.flows.model import Flow
from flowrunner.identity import LOCAL_IDENTITY, Identity
from flowrunner.memory import Memory, OwnerMemory
from flowrunner.memory.forks import after_fork
from flowrunner.memory.message import new_id
from flowrunner.memory.purge_timer import PurgeTimer, weakly
from flowrunner.memory.purging import Purged, purge
from flowrunner.plugins import PluginManager
from flowrunner.runs.callers import Callers
from flowrunner.runs.failures import tell_failure
from flowrunner.runs.fairness import FairPlaces, Lent, Work
from flowrunner.runs.grants import Grants, count_started, stop_counting
from flowrunner.runs.health import watch_stores
from flowrunner.runs.limits import Limits
from flowrunner.runs.observing import Observers
from flowrunner.runs.opened import Opened, OpenedOnUse
from flowrunner.runs.places import RunPlace
from flowrunner.runs.plans import Plans
from flowrunner.runs.service import STOPPING, Runs
from flowrunner.settings.setting import Settings
from flowrunner.shares import Places, Uploads, WrongKeys, group_of
from flowrunner.store.bound import BoundStores, bind_stores
from flowrunner.store.credentials import mask_text
from flowrunner.store.write_turn import give_way
from flowrunner.vectors import Vectors

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from flowrunner.runs.idempotency import KeyedAnswer
    from flowrunner.store.shared_commits import Parcel
    from flowrunner.store.stores import Stores
    from flowrunner.telemetry.metrics import Metrics

logger = logging.getLogger("flowrunner")

#: How many runs of a process work at a moment: the lock of the interpreter lets no more than one, and whoever comes
#: next waits for all that are ready.
_WORKING: Final = 3
#: Seconds after which a run that has not paused makes room for others.
_LENT_SECONDS: Final = 1.0


class Runner(OpenedOnUse):
    """One runner of one app. It has no global state; :meth:`close` releases its resources.

    ``settings``, ``plugins``, ``memory``, ``library``, ``stores`` and ``vectors`` may be read. Databases,
    folders and backends are opened by :meth:`open`, which the first use of any of them calls: creating
    a runner touches neither disk nor network, so a process may fork before anything is opened.

    :param opening: opens everything; called once by :meth:`open`, and by :meth:`check` for a trial.
    """

    memory: Memory
    library: Library
    stores: Stores
    vectors: Vectors
    engine: Engine
    metrics: Metrics | None
    services: RunServices
    runs: Runs
    limits: Limits
    opened_by = frozenset({"memory", "library", "stores", "vectors", "engine", "metrics", "services", "runs", "limits"})

    def __init__(self, *, settings: Settings, plugins: PluginManager, opening: Callable[[], Opened]) -> None:
        super().__init__(opening)
        self.settings = settings
        self.plugins = plugins
        #: Whose flows are the operator's own word, besides those of folders.
        self.operator: str | None = None
        self.identify: Callable[[Any], Identity | None] | None = None
        #: Entered around each run: what its components may rely on, such as a site's own context.
        self.around: Callable[[], AbstractContextManager[Any]] = nullcontext
        #: Called with the runner when the collector finds that nobody holds it any more.
        self.let_go: Callable[[Runner], None] | None = None
        #: Returns the plan of a flow, made once per content; raises ``FlowInvalid`` if the flow cannot run.
        self.plan = Plans(plugins.registry, refuse_unknown=settings.unknown == "refuse").of
        #: The places for runs of this process.
        self._callers = Callers()
        self.places = FairPlaces(settings.max_runs, callers=self._callers)
        self._working = Lent(_WORKING, _LENT_SECONDS, spare=1, crowds=self.places.crowds)
        self._shares = Places(settings.max_runs_per_user, max(1, settings.max_runs // 2))
        self._uploads = Uploads(max(1, settings.max_visitor_files // 10), max(1, settings.max_visitor_files_size // 10))
        #: Which addresses have sent wrong API keys to this process.
        self.wrong_keys = WrongKeys(settings.max_wrong_keys)
        self._purging: PurgeTimer | None = None
        #: Knows whether the stores can be used; it may be asked before they are open.
        self.watch = watch_stores(self)

    def _take(self, opened: Opened) -> None:
        settings = self.settings = opened.settings
        self.memory = opened.memory
        self.library = opened.library
        self.stores = opened.stores
        self.vectors = opened.vectors
        self.engine = opened.engine
        self.metrics = opened.metrics
        self._pool = ThreadPoolExecutor.__new__(ThreadPoolExecutor)
        self._start_pool()
        after_fork(self._start_pool)
        if settings.memory_retention and settings.memory_purge_every:
            self._purging = PurgeTimer(settings.data_dir, settings.memory_purge_every, weakly(self._purge))
        if settings.data_dir is not None:
            self._callers.share(Path(settings.data_dir) / "callers")
        give_way(opened.engine, self.places)
        self._turns = Turns(
            settings.data_dir,
            strategy=settings.turns,
            wait=settings.turn_wait,
            session_lock=opened.memory.session_lock,
        )
        observers = self._observers = Observers(opened.observers, self.plugins)
        self._grants = Grants(opened.library, opened.stores, opened.vectors, settings, self._uploads, self.plan)
        self.services = self._grants.services = RunServices(
            memory=opened.memory,
            settings=settings,
            pool=self._pool,
            turns=self._turns,
            variable=self._grants.variable,
            stored_file=self._grants.stored_file,
            run_flow=self._grants.run_flow,
            mask=mask_text,
            observe=observers.show if observers else None,
            observed=observers.kinds,
            vectors=opened.vectors,
            operator=self.operator,
            save_file=self._grants.save_file,
        )
        self.runs = Runs(self, opened.box, opened.run_engine)
        self.limits = self.runs.limits = Limits(settings, opened.engine, self.runs.registry, opened.rates)
        if opened.stores.run_log is not None:
            registry = self.runs.registry
            opened.stores.run_log.know_process(lambda: registry.known_id)
        self._opened = opened

    def _start_pool(self) -> None:
        # In place, since others have it, too.
        ThreadPoolExecutor.__init__(self._pool, self.settings.pool_size, thread_name_prefix="flowrunner-vertex")

    def run(
        self,
        flow: str,
        input_value: str | None = None,
        *,
        session_id: str = "",
        tweaks: Mapping[str, Any] | None = None,
        identity: Identity = LOCAL_IDENTITY,
        emit: Emit | None = None,
        cancelled: CancelToken | None = None,
        **request: Any,
    ) -> RunResult:
        """Run a flow and return its result, as over HTTP.

        :param flow: id or endpoint name.
        :param input_value: text for the flow's input; None for no input.
        :param session_id: the session; blank for the run's own.
        :param identity: the user to run it as; default: the local user.
        :param request: further members of :class:`~flowrunner.engine.request.RunRequest`.
        :raises FlowRunnerError: if the run fails, such as ``FlowNotFound`` or ``ComponentFailed``.
        """
        asked = RunRequest(input_value=input_value, session_id=session_id, tweaks=dict(tweaks or {}), **request)
        return self.execute(self.find(flow, identity), asked, identity, emit=emit, cancelled=cancelled)

    def find(self, flow: str, identity: Identity) -> Flow:
        """Return the flow of an id or endpoint name.

        :raises FlowNotFound: if there is none that this caller may use.
        """
        return self.library.get(flow, identity)

    def admit(self, request: RunRequest, identity: Identity) -> None:
        """Check a request before its run starts; :meth:`execute` and :meth:`start` call it, too. All limits on

        requests belong here, so that they apply to every way of starting a run.

        :raises NotAllowed: if the caller is read-only.
        :raises RequestInvalid: if the request has more characters than the settings allow.
        """
        require(identity, Capability.RUN)
        most = self.settings.max_input
        if most and request.characters > most:
            message = (
                f"Input, tweaks and variables have {request.characters} characters; one run may have {most}"
                f" ({self.settings.prefix}MAX_INPUT)"
            )
            entry = {"type": "too_long", "loc": ["body"], "msg": message, "ctx": {"max_length": most}}
            raise RequestInvalid(f"{message}.", [entry])

    def execute(
        self,
        flow: Flow,
        request: RunRequest,
        identity: Identity,
        *,
        emit: Emit | None = None,
        cancelled: CancelToken | None = None,
        run_id: str | None = None,
        kind: str = "run",
        recorded: bool = False,
        patient: bool = False,
        gone: Callable[[], bool] | None = None,
        parcel: Parcel | None = None,
    ) -> RunResult:
        """Run a flow returned by :meth:`find`.

        :param kind: how it was requested: ``run``, ``stream``, ``webhook``, ``background`` or ``response``.
        :param recorded: the ledger of runs has it already.
        :param patient: wait for a place and for its turn without a time limit.
        :param gone: says whether the client has left that waits for the run; then it is cancelled.
        :param parcel: what is to be committed with the last messages of the run.
        :raises NotAllowed, RequestInvalid: as :meth:`admit`.
        :raises TooMany: if the caller exceeds a limit on concurrent runs or rate.
        :raises TooBusy: if no place became free in time.
        :raises FlowRunnerError: what stopped the run.
        """
        self.admit(request, identity)
        self.open()
        plan = self.plan(flow)
        if not recorded and not self.limits.are_none:
            self.limits.count(flow, request, identity)
        if self._purging is not None:
            self._purging.start()
        cancelled = CancelToken() if cancelled is None else cancelled
        run_id = run_id or new_id()
        # What was accepted is run, however much else its caller runs.
        place = nullcontext() if patient else self._shares.of(identity)
        held = self.limits.place(run_id, flow, request, identity) if self.limits.hold_places else nullcontext()
        group = group_of(identity)
        entry = self.runs.registry.enter(
            run_id, identity.id, flow.id, kind, cancelled, recorded=recorded, gone=gone, parcel=parcel
        )
        token = count_started()
        try:
            with place, held, RunPlace(self.places, self.settings, group, cancelled, patient=patient), self.around():
                result = run(
                    plan,
                    request,
                    owner=identity.id,
                    services=self._grants.services_for(identity, flow),
                    emit=emit,
                    cancelled=cancelled,
                    run_id=run_id,
                    record=entry,
                    patient=patient,
                    place=Work(
                        self._working,
                        group,
                        flow.id,
                        lambda: not cancelled.is_set(),
                        lambda within: self.places.crowds(group, within),
                    ),
                )
            entry.succeed()
            return result
        except BaseException as error:
            entry.fail(error)
            failure = tell_failure(run_id, flow, error, self.watch, stopping=cancelled.reason == STOPPING)
            if failure is not error:
                raise failure from error
            raise
        finally:
            stop_counting(token)
            self.runs.registry.leave(entry)

    def start(
        self,
        flow: Flow,
        request: RunRequest,
        identity: Identity,
        *,
        kind: str = "background",
        run_id: str | None = None,
        keyed: KeyedAnswer | None = None,
    ) -> str:
        """Accept a background run; it starts in its turn, and its outcome is in its record.

        :param run_id: id of the run; default: a new one.
        :param keyed: the key of the request and the answer to it, which are stored with the run.
        :returns: the id of the run, which is recorded by then.
        :raises NotAllowed, RequestInvalid: as :meth:`admit`.
        :raises FlowInvalid: if the flow cannot run.
        :raises TooMany: if the caller exceeds a rate limit.
        :raises StoreFailed: if the run cannot be recorded.
        """
        self.admit(request, identity)
        if not self.limits.are_none:
            self.limits.count(flow, request, identity)
        return self.runs.accept(flow, request, identity, kind, run_id=run_id, keyed=keyed)

    def carry_out(self, run_id: str) -> str:
        """Execute an accepted run in this process, the worker of an engine.

        :param run_id: what :meth:`~flowrunner.runs.engines.RunEngine.send` was given.
        :returns: its state: one that ended or begins elsewhere, and one that waits for its session, is left alone.
        :raises StoreFailed: if the database fails.
        """
        self.open()
        return self.runs.carry_out(run_id)

    def check_health(self) -> dict[str, str]:
        """Return ``ok`` or ``error`` for the memory and the database, within two seconds."""
        if self._purging is not None:
            self._purging.start()
        wrong = self.watch.check()
        return {name: "error" if name in wrong else "ok" for name in ("memory", "database")}

    def why_not_ready(self) -> str:
        """Return within two seconds why the server is not ready for requests; blank if it is."""
        if self._closed or (self.is_open and self.runs.stopping):
            return "the server stops"
        return self.watch.why_unusable()

    def memory_of(self, identity: Identity, *, admin: bool = False) -> OwnerMemory:
        """Return the messages of a caller; with ``admin``, those of all owners if the caller is an admin."""
        return self.memory.for_owner(identity.scope if admin else identity.id)

    def stores_of(self, identity: Identity) -> BoundStores:
        """Return the app's own data as a caller may access it."""
        return bind_stores(self.stores, self.library, identity, self.plugins.registry.secret_inputs, self._uploads)

    def count_upload(self, identity: Identity, size: int) -> None:
        """Count what a visitor stores at once besides what they say, as an upload of theirs.

        :raises TooMany: if the visitors of an address send too much in an hour.
        """
        self._uploads.note(identity, size)

    def purge(self, *, dry_run: bool = False, stopped: Callable[[], bool] = lambda: False) -> list[Purged]:
        """Delete the messages that the retention rules do not keep.

        :param dry_run: delete nothing; return what would be deleted.
        :param stopped: asked now and then; once it says so, no more is removed.
        """
        rules = self.settings.memory_retention
        found = purge(self.memory, rules, dry_run=dry_run, flow_names=self.flow_names(), stopped=stopped)
        if not dry_run:
            self.stores.titles.forget_unused(
                lambda owner, session_id: self.memory.for_owner(owner).fetch(session_id=session_id, limit=1), stopped
            )
        return found

    def flow_names(self) -> dict[str, str]:
        """Return the endpoint names of the folders' flows by their ids, which retention rules may say."""
        return {flow.id: flow.endpoint_name for flow in self.library.folders.flows() if flow.endpoint_name}

    def close(self) -> None:
        """Wait for runs in progress, write what is pending, and release all resources; a second call does

        nothing. Background runs that have not started wait for the next start.
        """
        with self._state:
            if self._closed:
                return
            self._closed = True
            opened = self._opened
        self.watch.close()
        if opened is None:
            return
        if self._purging is not None:
            self._purging.stop()
        self.runs.close()
        self._pool.shutdown(wait=True)
        self._turns.close()
        self._callers.close()
        opened.release()

    def __del__(self) -> None:
        if not getattr(self, "_closed", True) and self.let_go is not None:
            self.let_go(self)

    def _purge(self, stopped: Callable[[], bool]) -> None:
        for purged in self.purge(stopped=stopped):
            if purged.messages:
                shown = (purged.messages, purged.sessions, purged.rule)
                logger.info("purged %d messages of %d sessions by the rule: %s", *shown)
