"""Run a plan. Independent of Flask, HTTP and SQL."""

from __future__ import annotations

import contextlib
import contextvars
import logging
import threading
import time
from collections.abc import Collection
from concurrent.futures import FIRST_COMPLETED, Future, wait

from flowrunner.components.cancelling import CancelToken
from flowrunner.engine.branches import left_out
from flowrunner.engine.cycles import MOST_ROUNDS, PlannedCycle, rounds_of
from flowrunner.engine.events import Emit, EventStream, RunEvent
from flowrunner.engine.loops import PlannedLoop, finish_loop
from flowrunner.engine.pausing import WorkingPlace, pausing, working
from flowrunner.engine.planned import Plan, PlannedVertex
from flowrunner.engine.recording import RunRecord
from flowrunner.engine.report import answer_session, select_reported
from flowrunner.engine.request import RunRequest
from flowrunner.engine.result import RunResult, RunStart, VertexResult
from flowrunner.engine.run_memory import RunMemory
from flowrunner.engine.scheduling import Passing
from flowrunner.engine.services import RunServices
from flowrunner.engine.sessions import foresee_sessions, make_frame, named_sessions
from flowrunner.engine.state import RunState
from flowrunner.engine.tokens import Speech
from flowrunner.engine.tweaks import apply_tweaks
from flowrunner.engine.vertex import VertexRunner
from flowrunner.errors import ComponentFailed, FlowRunnerError, RunCancelled, RunTimeout
from flowrunner.memory.context import current_memory
from flowrunner.memory.message import new_id, utc_now
from flowrunner.session import Session

logger = logging.getLogger("flowrunner")

_thread = threading.local()


def run(
    plan: Plan,
    request: RunRequest,
    *,
    owner: str,
    services: RunServices,
    emit: Emit | None = None,
    cancelled: CancelToken | None = None,
    held: frozenset[str] = frozenset(),
    run_id: str | None = None,
    record: RunRecord | None = None,
    patient: bool = False,
    place: WorkingPlace | None = None,
) -> RunResult:
    """Run a flow once and return its result.

        :param owner: the owner of the run and of everything that it stores.
    :param emit: called with every event, in order, on the threads of the run.
    :param cancelled: a token with which others can stop the run.
    :param held: sessions whose turn the caller already holds, for a run started by another run.
    :param run_id: the id of the run; default: a new one.
    :param record: wraps the commits of the run, so that the run is recorded in the same transactions.
    :param patient: wait for the turn without a time limit.
    :param place: the place that the run takes once it has its turn.
    :raises FlowRunnerError: the reason why the run failed; an error in a component is ``ComponentFailed``.
    """
    request.refuse_input_conflict()
    vertices = list(plan.vertices)
    if request.tweaks:
        for index, changed in apply_tweaks(plan, request.tweaks, most=services.settings.max_tweaks).items():
            vertices[index] = changed
    policy = services.settings.session_policy
    frame = make_frame(plan, vertices, request.session_id, policy)
    if policy == "require" and not request.session_id:
        foresee_sessions(plan, vertices, frame)
    run_id, cancelled = run_id or new_id(), CancelToken() if cancelled is None else cancelled
    named = named_sessions(plan, vertices, request.session_id)
    with services.turns.hold(owner, named, held=held, cancelled=cancelled, patient=patient) as turn:
        events = EventStream(run_id, _both(emit, services.observe), services.observed if emit is None else None)
        memory = RunMemory(services.memory.for_owner(owner), plan.flow.id, run_id, events, eager=request.streaming)
        limit = services.settings.run_timeout
        deadline = time.monotonic() + limit if limit else None
        state = RunState(
            plan, vertices, request, owner, services, cancelled, turn, run_id, frame, events, memory, deadline
        )
        token = current_memory.set(lambda: memory.of_owner)
        try:
            with cancelled.stops_at(deadline, state.late), working(place):
                return _Execution(state, plan).go(record)
        finally:
            current_memory.reset(token)


def sessions_of(plan: Plan, request: RunRequest, *, most: int) -> set[str]:
    """Return the sessions that a run names before it starts, and whose turns it waits for.

    :param most: the maximum number of tweaked fields.
    :raises TweakRefused: for a tweak of a protected field.
    """
    vertices = list(plan.vertices)
    if request.tweaks:
        for index, changed in apply_tweaks(plan, request.tweaks, most=most).items():
            vertices[index] = changed
    return named_sessions(plan, vertices, request.session_id)


class _Execution:
    """The execution of one run: decides which vertex runs when."""

    def __init__(
        self,
        state: RunState,
        plan: Plan | PlannedLoop | PlannedCycle,
        within: _Execution | None = None,
        round_of: tuple[Collection[int], Collection[int]] | None = None,
    ) -> None:
        self._state, self._plan = state, plan
        self._speech: Speech = within._speech if within is not None else Speech(state)
        self._runner: VertexRunner = within._runner if within is not None else VertexRunner(state, self._speech)
        self._loops = plan.loops if isinstance(plan, Plan) else plan.inner
        self._cycles = plan.cycles
        self._passing = Passing(state, plan) if round_of is None else Passing.of_round(state, plan, *round_of)
        self._ready = self._passing.ready
        self._flying: dict[Future[VertexResult], int] = {}
        self._limit: float = state.services.settings.component_timeout
        self._due: dict[Future[VertexResult], float] = {}

    def go(self, record: RunRecord | None) -> RunResult:
        """Run to the end. The last event is always sent, also after an error."""
        state, started = self._state, time.monotonic()
        start = self._start()
        state.memory.record_in(record, start)
        try:
            state.events.send("run_started", start=start)
            self._loop()
            result = self._result(start, time.monotonic() - started)
            state.memory.flush(result)
        except RunCancelled as error:
            self._keep_what_there_is("cancelled")
            state.events.send("run_cancelled", reason=state.cancelled.reason or error.message, start=start)
            raise
        except FlowRunnerError as error:
            self._keep_what_there_is("error")
            state.events.send("run_failed", error=error, start=start)
            raise
        except BaseException:
            failure = FlowRunnerError("Internal Server Error")
            failure.code = "internal_error"
            with contextlib.suppress(Exception):
                state.events.send("run_failed", error=failure, start=start)
            raise
        state.events.send("run_finished", result=result)
        return result

    def _loop(self) -> None:
        state = self._state
        try:
            while self._ready or self._flying:
                state.check_time()
                while self._ready:
                    planned = state.vertices[self._ready.popleft()]
                    if planned.in_cycle and self._enter_cycle(planned.index):
                        continue
                    if planned.component.blocking and not planned.as_tool and not self._runner.is_kept(planned):
                        future = self._submit(planned)
                        self._flying[future] = planned.index
                        if self._limit:
                            self._due[future] = time.monotonic() + self._limit
                    else:
                        self._settle(planned.index, self._run_here(planned))
                        state.check_time()
                if self._flying:
                    with pausing():
                        landed = self._landed()
                    for future in landed:
                        self._settle(self._flying.pop(future), future.result())
        except BaseException:
            # Other running components are asked to stop; the run ends without waiting for them.
            if self._flying:
                state.cancelled.cancel("another component of the run failed")
                wait(self._flying, timeout=1)
            raise

    def _run_here(self, planned: PlannedVertex) -> VertexResult:
        try:
            return self._runner.run(planned)
        except ComponentFailed:
            self._finish_layer(planned.index)
            raise

    def _finish_layer(self, failed: int) -> None:
        """Run the other vertices in the layer of a failed one, as the reference server does.

        Later layers do not start, and neither do components that wait for the network.
        """
        layers: dict[int, int] = {}
        last = self._layer_of(failed, layers)
        for index in self._ready:
            planned = self._state.vertices[index]
            if not planned.component.blocking and self._layer_of(index, layers) <= last:
                with contextlib.suppress(ComponentFailed):
                    self._runner.run(planned)
        self._ready.clear()

    def _layer_of(self, index: int, known: dict[int, int]) -> int:
        """Return the length of the longest path of executed vertices to a vertex."""
        waiting = [index]
        while waiting:
            incoming = self._state.vertices[waiting[-1]].incoming
            sources = [e.source for e in incoming if not e.back and self._state.is_live(e)]
            unknown = [source for source in sources if source not in known]
            if unknown:
                waiting += unknown
            else:
                known[waiting.pop()] = 1 + max((known[source] for source in sources), default=-1)
        return known[index]

    def _settle(self, index: int, result: VertexResult | None) -> None:
        """Pass on the result of a vertex; None means that it was on a branch not taken."""
        state = self._state
        todo: list[tuple[int, VertexResult | None]] = [(index, result)]
        while todo:
            index, result = todo.pop()
            if result is not None:
                self._keep(index, result)
            else:
                state.results.pop(index, None)
                state.excluded.pop(index, None)
            todo.extend((target, None) for target in self._passing.pass_on(index, result))

    def _keep(self, index: int, result: VertexResult) -> None:
        """Store the result of a vertex, and the vertices that it excludes."""
        state = self._state
        state.results[index] = result
        if index in self._loops:
            self._run_body(self._loops[index], index, result)
        if result.untaken:
            excluded = left_out(state.vertices, index, result)
            if excluded or index in state.excluded:
                state.excluded[index] = excluded

    def _enter_cycle(self, index: int) -> bool:
        """Run a whole cycle in place of its head; for other members, count the round."""
        state = self._state
        cycle = self._cycles.get(index)
        if cycle is None:
            state.rounds[index] = state.rounds.get(index, 0) + 1
            return False
        self._run_cycle(cycle)
        for target in self._passing.pass_on(index, state.results.get(index)):
            self._settle(target, None)
        return True

    def _run_cycle(self, cycle: PlannedCycle) -> None:
        """Run a cycle in rounds, until no value leads back."""
        state, start = self._state, {cycle.head}
        state.forget(cycle.scope)
        limits = [rounds_of(state.vertices[i]) or 1 for i in cycle.routers]
        for _ in range(min(sum(limits), MOST_ROUNDS)):
            state.check_time()
            again = cycle.downstream(start)
            once = _Execution(state, cycle, self, (start, again))
            once._loop()
            start = {e.target for e in cycle.back if e.source in again and state.is_live(e)}
            if not start:
                return
        raise self._runner.endless(state.vertices[cycle.routers[0]])

    def _run_body(self, loop: PlannedLoop, index: int, result: VertexResult) -> None:
        """Run the body of a loop for each item, and replace the items by the returned values."""
        state = self._state
        name = str(state.vertices[index].component.loop_output)
        items, returned = result.outputs.get(name), []
        result.untaken = ()
        for item in items if isinstance(items, (list, tuple)) else ():
            state.check_time()
            state.forget(loop.members)
            result.outputs = {name: item}
            once = _Execution(state, loop, self)
            once._settle(index, result)
            once._loop()
            for source, output in loop.returns:
                found = state.results.get(source)
                if found is not None and output is not None and output in found.outputs:
                    returned.append(found.outputs[output])
        result.outputs = finish_loop(state.vertices[index], returned, state.services.mask)
        state.events.send("vertex_finished", result=result)

    def _submit(self, planned: PlannedVertex) -> Future[VertexResult]:
        """Start a vertex on the pool with the caller's context; on a pool thread, run it in place.

        Otherwise runs started on pool threads could wait for threads that all wait for them.
        """
        self._state.memory.flush()
        if getattr(_thread, "on_pool", False):
            return self._done(planned)
        context, waiting, done = contextvars.copy_context(), [planned], Future[VertexResult]()
        try:
            self._state.services.pool.submit(context.run, self._run_on_pool, waiting, done)
        except RuntimeError:
            # No more threads can be started. The pool keeps the call for a thread that it has: the first one runs it.
            self._run_first(waiting, done)
        return done

    def _done(self, planned: PlannedVertex) -> Future[VertexResult]:
        done = Future[VertexResult]()
        self._run_first([planned], done)
        return done

    def _run_on_pool(self, waiting: list[PlannedVertex], done: Future[VertexResult]) -> None:
        _thread.on_pool = True
        try:
            self._run_first(waiting, done)
        finally:
            _thread.on_pool = False

    def _run_first(self, waiting: list[PlannedVertex], done: Future[VertexResult]) -> None:
        """Run a vertex, unless another thread has taken it out of the list."""
        with contextlib.suppress(IndexError):
            planned = waiting.pop()
            try:
                done.set_result(self._runner.run(planned))
            except BaseException as error:
                done.set_exception(error)

    def _landed(self) -> list[Future[VertexResult]]:
        """Wait until a vertex on the pool ends; return all that have ended, in the order of the file."""
        while True:
            done, _ = wait(self._flying, timeout=0.1, return_when=FIRST_COMPLETED)
            if done:
                return sorted(done, key=self._flying.__getitem__)
            self._state.check_time()
            self._check_components()

    def _check_components(self) -> None:
        """Stop the run if a component takes too long.

        :raises RunTimeout: naming the component.
        """
        if not self._due:
            return
        now = time.monotonic()
        for future, index in self._flying.items():
            if now > self._due.get(future, now):
                name = self._state.vertices[index].display_name
                raise RunTimeout(
                    f"The component {name} took longer than {self._limit:g} seconds (FLOWRUNNER_COMPONENT_TIMEOUT),"
                    " so the run was stopped."
                )

    def _keep_what_there_is(self, state: str) -> None:
        """Store the messages of a failing run, and mark the question as unanswered if there is no reply."""
        try:
            self._speech.keep()
            self._state.memory.mark_unanswered(state)
            self._state.memory.flush()
        except FlowRunnerError as error:
            # The store itself may have failed; the run still ends with its original error.
            logger.warning("the messages of a failed run could not be stored: %s", error.message)

    def _start(self) -> RunStart:
        state, frame, flow = self._state, self._state.frame, self._state.plan.flow
        session = Session(frame.payload, "payload") if frame.payload else frame.conversation or frame.default
        return RunStart(
            run_id=state.run_id,
            flow_id=flow.id,
            flow_name=flow.name,
            content_hash=flow.content_hash,
            owner=state.owner,
            started_at=utc_now(),
            input_value=state.request.input_value,
            session=session,
            warnings=state.plan.warnings,
        )

    def _result(self, start: RunStart, duration: float) -> RunResult:
        state = self._state
        ran = [(state.vertices[i], state.results[i]) for i in sorted(state.results)]
        reported = select_reported(ran, state.request, state.vertices)
        return RunResult(
            start=start,
            session=answer_session(state.frame, ran, reported),
            vertices=[result for _, result in ran],
            reported=reported,
            messages=tuple(state.memory.stored),
            duration=duration,
            warnings=() if state.request.outputs_only else state.plan.warnings,
        )


def _both(emit: Emit | None, observe: Emit | None) -> Emit | None:
    """Return one callback that calls both; observers do not get tokens."""
    if observe is None or emit is None:
        return emit or observe

    def send(event: RunEvent) -> None:
        if event.kind != "token":
            observe(event)
        emit(event)

    return send
